"""Letters as mail: one plain-text message to one recipient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qstore_appliance.deliveries.mails import Mails, one_line
from qstore_appliance.domain import alerts, notices
from qstore_appliance.domain.outbox import Letter


class Emails:
    """
    Args:
        address: Of this installation, for the last line.
        reset_link: The address that a reset link's id stands for. Made here and not kept: what the outbox holds, an
            administrator or a backup holds too.
    """

    def __init__(self, mails: Mails, address: str, reset_link: Callable[[str], str]) -> None:
        self._mails = mails
        self._address = address
        self._reset_link = reset_link

    async def deliver(self, letter: Letter) -> None:
        """
        Raises:
            NotDelivered: With the reason.
        """
        subject, text = self._worded(letter.payload)
        footer = f"\n-- \nSent by Q-Store at {self._address}, to which nobody needs to answer.\n"
        await self._mails.send(letter.id, letter.destination, subject, text + footer, letter.created_at)

    def _worded(self, content: dict[str, Any]) -> tuple[str, str]:
        if content["event"] in set(notices.Notice):
            reset = content["data"].get("reset")
            return notices.worded(content, **({"link": self._reset_link(reset)} if reset else {}))
        named = {**content["organization"], "name": one_line(content["organization"]["name"])}
        return alerts.worded({**content, "organization": named})
