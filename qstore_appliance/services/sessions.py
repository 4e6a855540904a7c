"""
Sign-in: access and refresh tokens, dashboard cookies, API keys. Each credential becomes a `Caller` read from rows.

A token only says which session it belongs to; whether that session lives, and what its user may do, the database says at
each request (remembered for at most a second). A refresh token works once: its second use ends the whole session, since
one of the two who had it is a thief.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow, SessionRow, UserRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Role, Tokens
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Forbidden, QStoreError, Unauthenticated
from qstore_appliance.services import audit, keys
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import of_key, of_user
from qstore_appliance.services.failures import Failures, network
from qstore_appliance.services.passwords import MAX_LENGTH
from qstore_appliance.services.texts import storable
from qstore_appliance.services.tokens import TokenSigner
from qstore_appliance.settings import Settings

#: Two tabs that refresh at the same moment are no theft: one wins, the other is merely refused.
REFRESH_GRACE = timedelta(seconds=2)
LAST_USED_EVERY = timedelta(minutes=1)
_WRONG = "The e-mail address or the password is wrong."

log = structlog.get_logger(__name__)


class Sessions:
    """
    Args:
        secret: At least 32 bytes, this installation's own.
    """

    def __init__(self, database: Database, clock: Clock, accounts: Accounts, settings: Settings, secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._settings = settings
        self._signer = TokenSigner(secret, clock)
        self._failures = Failures(settings.limits.sign_in_failures)
        self._audit = Audit(database, clock)

    # Signing in and out ------------------------------------------------------------------------------------------

    async def sign_in(self, email: str, password: str, *, address: str, agent: str) -> Tokens:
        """
        Raises:
            Unauthenticated: Wrong, unknown or disabled: all the same words and the same time.
            RateLimited: Too many failures for this account from this address, or too many sign-ins at once.
        """
        user = await self._verified(email, password, address)
        session_id = ids.new("session")
        refresh_token = self._refresh_token(user.id, session_id)
        await self._start(session_id, user, address, agent, kind="token", refresh_hash=_digest(refresh_token))
        return self._tokens(user, session_id, refresh_token)

    async def sign_in_cookie(self, email: str, password: str, *, address: str, agent: str) -> tuple[str, Caller]:
        """The value of a new session cookie, and who it is; errors as in `sign_in`."""
        user = await self._verified(email, password, address)
        session_id, value = ids.new("session"), secrets.token_urlsafe(32)
        await self._start(session_id, user, address, agent, kind="cookie", cookie_hash=_digest(value))
        return value, of_user(user, rate_limit=self._settings.limits.user, session_id=session_id)

    async def refresh(self, refresh_token: str, *, address: str, agent: str) -> Tokens:
        """
        New tokens for a refresh token, which is spent by it.

        Raises:
            Unauthenticated: Expired, revoked or used before; the last ends the session.
        """
        claims = self._signer.read(refresh_token, "refresh")
        session_id, now = claims.session_id, self._clock.now()
        session = await SessionRow.get_or_none(id=session_id, user_id=claims.user_id, kind="token")
        user = await UserRow.get_or_none(id=claims.user_id, disabled=False)
        if session is None or user is None or session.revoked_at is not None or session.expires_at <= now:
            raise Unauthenticated
        used, renewed = _digest(refresh_token), self._refresh_token(user.id, session_id)
        async with self._database.transaction():
            won = await SessionRow.filter(id=session_id, refresh_hash=used, revoked_at=None).update(
                refresh_hash=_digest(renewed),
                previous_hash=used,
                rotated_at=now,
                last_used=now,
                expires_at=now + timedelta(seconds=self._settings.auth.refresh_seconds),
                address=address[:64],
                agent=storable(agent, 200),
            )
        if won:
            return self._tokens(user, session_id, renewed)
        session = await SessionRow.get(id=session_id)
        parallel = session.previous_hash == used and session.rotated_at and now - session.rotated_at <= REFRESH_GRACE
        if not parallel:
            log.warning("refresh_token_reused", session_id=session_id, user_id=user.id, address=address)
            await self._revoke(session_id, user, "session.reused")
        raise Unauthenticated("This refresh token was used before.")

    async def sign_out(self, caller: Caller) -> None:
        """
        End the caller's session: its access token, refresh token or cookie is dead at once.

        Raises:
            Forbidden: An API key has no session; it is revoked instead.
        """
        if caller.session_id is None:
            raise Forbidden("An API key cannot sign out; revoke it instead.")
        await self._revoke(caller.session_id, caller, "session.ended")

    # Credentials -------------------------------------------------------------------------------------------------

    async def by_access_token(self, token: str) -> Caller:
        """
        Raises:
            Unauthenticated: Not a living access token of this installation.
        """
        claims = self._signer.read(token, "access")

        async def read() -> Caller:
            session = await SessionRow.get_or_none(id=claims.session_id, user_id=claims.user_id, kind="token")
            return await self._of_session(session)

        return await self._accounts.callers.get(f"session:{claims.session_id}:{claims.user_id}", read)

    async def by_cookie(self, value: str) -> Caller:
        """
        Raises:
            Unauthenticated: Not the cookie of a living session.
        """
        hashed = _digest(value)

        async def read() -> Caller:
            return await self._of_session(await SessionRow.get_or_none(cookie_hash=hashed, kind="cookie"))

        return await self._accounts.callers.get(f"cookie:{hashed}", read)

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
            user = await UserRow.get_or_none(id=row.user_id, organization_id=row.organization_id, disabled=False)
            if user is None:
                raise Unauthenticated
            if row.last_used is None or now - row.last_used >= LAST_USED_EVERY:
                await self._note_use(lambda: ApiKeyRow.filter(id=row.id).update(last_used=now))
            caller = of_key(row, user)
            if address:
                await self._note_address(row, caller, network(address))
            return caller

        return await self._accounts.callers.get(f"key:{hashed}:{address}", read)

    async def _of_session(self, session: SessionRow | None) -> Caller:
        now = self._clock.now()
        if session is None or session.revoked_at is not None or session.expires_at <= now:
            raise Unauthenticated
        user = await UserRow.get_or_none(id=session.user_id, disabled=False)
        if user is None:
            raise Unauthenticated
        if now - session.last_used >= LAST_USED_EVERY:
            await self._note_use(lambda: SessionRow.filter(id=session.id).update(last_used=now))
        return of_user(user, rate_limit=self._settings.limits.user, session_id=session.id)

    async def _note_address(self, key: ApiKeyRow, caller: Caller, place: str) -> None:
        try:
            await self._audit.note_address(key.id, key.organization_id, caller, place)
        except QStoreError as error:
            log.warning("audit_not_written", action="api_key.new_address", error=error.message)

    async def _note_use(self, write: Callable[[], Awaitable[int]]) -> None:
        try:
            async with self._database.transaction():
                await write()
        except QStoreError as error:
            # Nobody is locked out because a timestamp could not be written.
            log.warning("last_used_not_written", error=error.message)

    # Parts -------------------------------------------------------------------------------------------------------

    async def _verified(self, email: str, password: str, address: str) -> UserRow:
        email = storable(email.strip().lower(), 255)
        attempt = self._failures.attempt(email, address)
        user = await UserRow.get_or_none(email=email)
        known = user.password_hash if user is not None and not user.disabled else None
        passwords = self._accounts.passwords
        try:
            right = len(password) <= MAX_LENGTH and await passwords.verify(known, password)
        except QStoreError:
            attempt.forgive()
            raise
        if user is None or not right:
            log.info("sign_in_failed", address=address)
            await self._note_refusal(email, user)
            raise Unauthenticated(_WRONG)
        attempt.forgive()
        renewed = await passwords.hash(password) if passwords.is_outdated(user.password_hash) else None
        async with self._database.transaction():
            await UserRow.filter(id=user.id).update(last_active=self._clock.now())
            if renewed is not None:
                # Only over the hash that was verified: a password changed meanwhile stays changed.
                await UserRow.filter(id=user.id, password_hash=user.password_hash).update(password_hash=renewed)
        return user

    async def _note_refusal(self, email: str, user: UserRow | None) -> None:
        """In the chain of whose account it was; an address that nobody has belongs to the installation."""
        try:
            await self._audit.record(
                "session.refused",
                organization_id=user.organization_id if user else None,
                actor=email,
                user_id=user.id if user else "",
                disabled=bool(user and user.disabled),
            )
        except QStoreError as error:
            # A full disk must not tell more of a wrong password than that it is wrong.
            log.warning("audit_not_written", action="session.refused", error=error.message)

    async def _start(
        self,
        session_id: str,
        user: UserRow,
        address: str,
        agent: str,
        *,
        kind: str,
        refresh_hash: str | None = None,
        cookie_hash: str | None = None,
    ) -> None:
        now = self._clock.now()
        async with self._database.transaction():
            await SessionRow.create(
                id=session_id,
                user_id=user.id,
                organization_id=user.organization_id,
                kind=kind,
                refresh_hash=refresh_hash,
                cookie_hash=cookie_hash,
                address=address[:64],
                agent=storable(agent, 200),
                last_used=now,
                expires_at=now + timedelta(seconds=self._settings.auth.refresh_seconds),
            )
            await self._audit.record(
                "session.started",
                organization_id=user.organization_id,
                actor=user.email,
                user_id=user.id,
                subject=session_id,
                kind=kind,
                agent=storable(agent, 200),
            )

    async def _revoke(self, session_id: str, who: UserRow | Caller, action: str) -> None:
        user_id = who.id if isinstance(who, UserRow) else who.user_id
        async with self._database.transaction():
            await SessionRow.filter(id=session_id, revoked_at=None).update(revoked_at=self._clock.now())
            await self._audit.record(
                action,
                organization_id=who.organization_id,
                actor=who.email,
                user_id=user_id,
                subject=session_id,
            )
        self._accounts.callers.changed(user_id)

    def _refresh_token(self, user_id: str, session_id: str) -> str:
        return self._signer.sign("refresh", user_id, session_id, self._settings.auth.refresh_seconds)

    def _tokens(self, user: UserRow, session_id: str, refresh_token: str) -> Tokens:
        seconds = self._settings.auth.access_seconds
        role = Role(user.role)
        access_token = self._signer.sign(
            "access", user.id, session_id, seconds, email=user.email, organization_id=user.organization_id, role=role
        )
        return Tokens(access_token=access_token, refresh_token=refresh_token, token_type="Bearer", expires_in=seconds)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
