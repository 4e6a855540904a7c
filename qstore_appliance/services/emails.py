"""Letters as mail: one plain-text message to one recipient."""

from __future__ import annotations

from qstore_appliance.deliveries.mails import Mails, one_line
from qstore_appliance.domain.alerts import worded
from qstore_appliance.domain.outbox import Letter


class Emails:
    """
    Args:
        address: Of this installation, for the last line.
    """

    def __init__(self, mails: Mails, address: str) -> None:
        self._mails = mails
        self._address = address

    async def deliver(self, letter: Letter) -> None:
        """
        Raises:
            NotDelivered: With the reason.
        """
        named = {**letter.payload["organization"], "name": one_line(letter.payload["organization"]["name"])}
        subject, text = worded({**letter.payload, "organization": named})
        footer = f"\n-- \nSent by Q-Store at {self._address}, to which nobody needs to answer.\n"
        await self._mails.send(letter.id, letter.destination, subject, text + footer, letter.created_at)
