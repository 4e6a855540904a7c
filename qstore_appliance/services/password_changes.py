"""New passwords: by whoever knows the present one, and by a link that was mailed to whoever forgot it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.database.tables.sign_in import PasswordResetRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.notices import Notice
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Gone, QStoreError, Refused
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers
from qstore_appliance.services.failures import Failures
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.passwords import Passwords, check_password
from qstore_appliance.services.seals import Stamp
from qstore_appliance.services.sessions import end_sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.services.texts import storable
from qstore_appliance.settings import Settings

#: Links of one account in an hour, and wishes for one account from one address.
LINKS, LINKS_WINDOW = 5, timedelta(hours=1)
_USED = "This link was used before, or is too old. Ask for another."

log = structlog.get_logger(__name__)


class PasswordChanges:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        sign_ins: SignIns,
        notices: Notices,
        callers: Callers,
        stamp: Stamp,
        settings: Settings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = Audit(database, clock)
        self._passwords = passwords
        self._sign_ins = sign_ins
        self._notices = notices
        self._callers = callers
        self._stamp = stamp
        self._settings = settings
        self._wishes = Failures(LINKS, LINKS_WINDOW.total_seconds(), "Too many links were asked for.")
        self._underway: set[asyncio.Task[None]] = set()

    @property
    def mailed(self) -> bool:
        """Whether links can be mailed here."""
        return self._notices.sends

    async def change(self, caller: Caller, current: str, new: str, address: str) -> None:
        """
        Every other session of the user ends.

        Raises:
            ValidationFailed: The present password is wrong, or the new one too easy to guess; naming the field.
            Forbidden, RateLimited: As `SignIns.confirmed`.
        """
        user = await self._sign_ins.confirmed(caller, current, address, field="current_password")
        check_password(new, user.email, user.name)
        await self._set(user, new, but=caller.session_id)

    async def ask(self, email: str, address: str) -> None:
        """
        Mail a link, if there is such a user. Neither the answer nor its time says whether: the rest happens behind it.

        Raises:
            Refused: This installation sends no mail.
            RateLimited: Asked too often for this account from this address.
        """
        if not self.mailed:
            raise Refused(
                "This installation sends no mail. Its operator can set a password: qstore user reset-password."
            )
        email = storable(email.strip().lower(), 255)
        self._wishes.attempt(email, address)
        task = asyncio.create_task(self._mail(email), name="password_changes.mail")
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)

    async def reset(self, token: str, new: str) -> None:
        """
        Set a password with a link's token, which is spent by it. Every session of the user ends.

        Raises:
            Gone: Not a link of ours, or used, or too old, or its user is disabled.
            ValidationFailed: The password is too easy to guess; the link stays good.
            RateLimited: Too many hashes at once.
        """
        id = self._stamp.id_of(token)
        row = None if id is None else await PasswordResetRow.get_or_none(id=id, used_at=None)
        if row is None or row.expires_at <= self._clock.now():
            raise Gone(_USED)
        user = await UserRow.get_or_none(id=row.user_id, disabled=False)
        if user is None:
            raise Gone(_USED)
        check_password(new, user.email, user.name)
        await self._set(user, new, link=row.id)

    async def close(self) -> None:
        """Links that were asked for a moment ago are still written down."""
        if self._underway:
            await asyncio.wait(set(self._underway), timeout=5)

    async def _set(self, user: UserRow, password: str, *, but: str | None = None, link: str | None = None) -> None:
        password_hash, now = await self._passwords.hash(password), self._clock.now()
        async with self._database.transaction():
            if link is not None and not await PasswordResetRow.filter(id=link, used_at=None).update(used_at=now):
                raise Gone(_USED)
            proven = {} if link is None else {"email_proven": True}
            await UserRow.filter(id=user.id).update(password_hash=password_hash, updated_at=now, **proven)
            await spend_links(user.id, now)
            await end_sessions(user.id, now, but=but)
            await self._notices.tell(user, Notice.PASSWORD_CHANGED)
            await self._audit.record(
                "user.password_changed",
                organization_id=user.organization_id,
                actor=user.email,
                user_id=user.id,
                subject=user.id,
                by_link=link is not None,
            )
        self._callers.changed(user.id)

    async def _mail(self, email: str) -> None:
        try:
            user = await UserRow.get_or_none(email=email, disabled=False)
            if user is None:
                return
            now = self._clock.now()
            if await PasswordResetRow.filter(user_id=user.id, created_at__gt=now - LINKS_WINDOW).count() >= LINKS:
                log.warning("too_many_reset_links", user_id=user.id)
                return
            life = timedelta(seconds=self._settings.auth.reset_seconds)
            id = ids.new("reset")
            async with self._database.transaction():
                await PasswordResetRow.create(id=id, user_id=user.id, created_at=now, expires_at=now + life)
                minutes = self._settings.auth.reset_seconds // 60
                await self._notices.tell(user, Notice.PASSWORD_RESET, reset=id, minutes=minutes)
        except QStoreError as error:
            # Who asked has their answer already, and asks again when nothing comes.
            log.warning("reset_link_not_written", error=error.message)


async def spend_links(user_id: str, now: datetime) -> None:
    """Inside a transaction: a new password leaves no older link good."""
    await PasswordResetRow.filter(user_id=user_id, used_at=None).update(used_at=now)
