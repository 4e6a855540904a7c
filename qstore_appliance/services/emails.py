"""Letters as mail: one plain-text message to one recipient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qstore_appliance.deliveries.mails import Mails, one_line
from qstore_appliance.domain import alerts, notices
from qstore_appliance.domain.outbox import Letter


class Emails:
    """
    Args:
        address: Of this installation, for the last line.
        links: By the name of a fact that is an id, the address that it stands for. Made here and not kept: what the
            outbox holds, an administrator or a backup holds too.
    """

    def __init__(self, mails: Mails, address: str, links: Mapping[str, Callable[[str], str]]) -> None:
        self._mails = mails
        self._address = address
        self._links = links

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
            facts = {name: one_line(fact) if isinstance(fact, str) else fact for name, fact in content["data"].items()}
            links = [address(facts[name]) for name, address in self._links.items() if name in facts]
            return notices.worded({**content, "data": facts}, **({"link": links[0]} if links else {}))
        named = {**content["organization"], "name": one_line(content["organization"]["name"])}
        return alerts.worded({**content, "organization": named})
