"""
Who somebody is: an access token, the dashboard's cookie or an API key becomes a `Caller`, read from rows.

A token only says which session it belongs to; whether that session lives, and what its user may do, the database says at
each request (remembered for half a second).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow, SessionRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sessions import Kind
from qstore_appliance.errors import QStoreError, Unauthenticated
from qstore_appliance.services import audit, keys
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers, membership_of, of_key, of_user
from qstore_appliance.services.failures import network
from qstore_appliance.services.tokens import TokenSigner
from qstore_appliance.settings import Settings

LAST_USED_EVERY = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Credentials:
    """
    Args:
        callers: Remembers them; whoever changes a user, a key or a session tells it.
        secret: At least 32 bytes, this installation's own.
    """

    def __init__(self, database: Database, clock: Clock, callers: Callers, settings: Settings, secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._callers = callers
        self._settings = settings
        self._signer = TokenSigner(secret, clock)
        self._audit = Audit(database, clock)

    async def by_access_token(self, token: str) -> Caller:
        """
        Raises:
            Unauthenticated: Not a living access token of this installation.
        """
        claims = self._signer.read(token, "access")

        async def read() -> Caller:
            session = await SessionRow.get_or_none(id=claims.session_id, user_id=claims.user_id, kind="token")
            return await self._of_session(session)

        return await self._callers.get(f"session:{claims.session_id}:{claims.user_id}", read)

    async def by_cookie(self, value: str) -> Caller:
        """
        Raises:
            Unauthenticated: Not the cookie of a living session.
        """
        hashed = digest(value)

        async def read() -> Caller:
            return await self._of_session(await SessionRow.get_or_none(cookie_hash=hashed, kind="cookie"))

        return await self._callers.get(f"cookie:{hashed}", read)

    async def by_api_key(self, key: str) -> Caller:
        """
        The audit log notes the first use from each address.

        Raises:
            Unauthenticated: Unknown, expired or revoked, or its owner is disabled.
        """
        if keys.SHAPE.fullmatch(key) is None:
            raise Unauthenticated
        hashed, address = keys.digest(key), audit.origin()

        async def read() -> Caller:
            now = self._clock.now()
            row = await ApiKeyRow.get_or_none(key_hash=hashed, revoked_at=None)
            if row is None or (row.expires_at is not None and row.expires_at <= now):
                raise Unauthenticated
            membership = await membership_of(row.user_id, row.organization_id)
            if membership is None:
                raise Unauthenticated
            if row.last_used is None or now - row.last_used >= LAST_USED_EVERY:
                await self._note_use(lambda: ApiKeyRow.filter(id=row.id).update(last_used=now), membership)
            caller = await of_key(row, membership)
            if address:
                await self._note_address(row, caller, network(address))
            return caller

        return await self._callers.get(f"key:{hashed}:{address}", read)

    async def _of_session(self, session: SessionRow | None) -> Caller:
        now = self._clock.now()
        if session is None or session.revoked_at is not None or session.expires_at <= now:
            raise Unauthenticated
        membership = await membership_of(session.user_id, session.organization_id)
        idle = session.kind == Kind.COOKIE and now - session.last_used >= timedelta(
            seconds=self._settings.auth.idle_seconds
        )
        if membership is None or idle:
            raise Unauthenticated
        if now - session.last_used >= LAST_USED_EVERY:
            await self._note_use(lambda: SessionRow.filter(id=session.id).update(last_used=now), membership)
        limit = self._settings.limits.user
        return await of_user(membership.user, membership, rate_limit=limit, session_id=session.id)

    async def _note_address(self, key: ApiKeyRow, caller: Caller, place: str) -> None:
        try:
            await self._audit.note_address(key.id, key.organization_id, caller, place)
        except QStoreError as error:
            log.warning("audit_not_written", action="api_key.new_address", error=error.message)

    async def _note_use(self, write: Callable[[], Awaitable[int]], membership: MembershipRow) -> None:
        try:
            async with self._database.transaction():
                await write()
                await MembershipRow.filter(id=membership.id).update(last_active=self._clock.now())
        except QStoreError as error:
            # Nobody is locked out because a timestamp could not be written.
            log.warning("last_used_not_written", error=error.message)


def digest(secret: str) -> str:
    """As what it is kept: whoever reads the database can sign in with nothing that stands there."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
