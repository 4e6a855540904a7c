"""
How messages reach strangers: the one room that opens connections to addresses that users have written down.

It knows settings and errors, and neither database nor services: whatever a receiver answers can reach nothing from here.
"""

from __future__ import annotations


class NotDelivered(Exception):
    """
    A receiver did not take a message.

    Args:
        reason: A sentence for administrators. It quotes nothing that the receiver said: a tenant who chooses the receiver
            would read there what only this machine can reach.
        final: Whether trying again is of no use.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        self.reason = reason
        self.final = final
        super().__init__(reason)
