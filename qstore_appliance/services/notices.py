"""Tells users of what happens to their own account, by mail, where this installation sends mail."""

from __future__ import annotations

from typing import Any

from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.notices import Notice, payload
from qstore_appliance.domain.outbox import Channel
from qstore_appliance.domain.ports import Clock
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.settings import Settings


class Notices:
    def __init__(self, outbox: Outbox, clock: Clock, settings: Settings) -> None:
        self._outbox = outbox
        self._clock = clock
        self._settings = settings

    @property
    def sends(self) -> bool:
        """Whether there is a mail server."""
        return bool(self._settings.smtp.host)

    async def tell(self, user: UserRow, notice: Notice, **facts: Any) -> None:
        """Inside the transaction of what it tells of; without a mail server, nothing."""
        await self.tell_address(user.organization_id, user.email, notice, **facts)

    async def tell_address(self, organization_id: str, email: str, notice: Notice, **facts: Any) -> None:
        """The same for an address that has no account yet."""
        if not self.sends:
            return
        id = ids.new("outbox")
        content = payload(id, notice, self._clock.now(), facts)
        await self._outbox.put(organization_id, Channel.EMAIL, email, notice.value, content, id)
        # It looks a moment after the commit.
        self._outbox.wake()
