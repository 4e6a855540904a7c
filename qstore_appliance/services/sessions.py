"""
Sessions: how they begin, with tokens or a cookie, how long they live, and how they end. Who somebody is with one, and with
an API key, `credentials.py` says.

A refresh token works once: its second use ends the whole session, since one of the two who had it is a thief.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import structlog
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import SessionRow, UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Tokens
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.notices import Notice
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sessions import Kind, Method, Session
from qstore_appliance.errors import Forbidden, NotFound, Unauthenticated
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.callers import home_of, membership_of, of_user, rights_of
from qstore_appliance.services.credentials import Credentials, digest
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.texts import storable
from qstore_appliance.settings import Settings

#: Two tabs that refresh at the same moment are no theft: one wins, the other is merely refused.
REFRESH_GRACE = timedelta(seconds=2)
#: Sessions that ended are kept for so long: where somebody signed in from is known by them.
KEEP_ENDED = timedelta(days=90)
SWEEP_EVERY = timedelta(hours=1)
SORTS = ("last_used", "created_at")

log = structlog.get_logger(__name__)


class Sessions(Credentials):
    """
    Args:
        secret: At least 32 bytes, this installation's own.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        accounts: Accounts,
        sign_ins: SignIns,
        notices: Notices,
        settings: Settings,
        secret: bytes,
    ) -> None:
        super().__init__(database, clock, accounts.callers, settings, secret)
        self._sign_ins = sign_ins
        self._notices = notices
        self._swept: datetime | None = None

    # Signing in and out ------------------------------------------------------------------------------------------

    async def sign_in(self, email: str, password: str, *, address: str, agent: str, code: str | None = None) -> Tokens:
        """
        Args:
            code: Of the second factor, where the user has one.

        Raises:
            Unauthenticated, SecondFactorRequired, RateLimited: As `SignIns.verified`.
        """
        user, home, method = await self._sign_ins.verified(email, password, code, address)
        if home is None:
            raise Unauthenticated
        return await self.open_tokens(user, home, method, address=address, agent=agent)

    async def open_tokens(
        self, user: UserRow, membership: MembershipRow, method: Method, *, address: str, agent: str
    ) -> Tokens:
        """Tokens of a new session in one of their organizations, for somebody who has proven who they are."""
        session_id = ids.new("session")
        refresh_token = self._refresh_token(user.id, session_id)
        await self._start(
            session_id,
            user,
            membership,
            address,
            agent,
            kind=Kind.TOKEN,
            method=method,
            refresh_hash=digest(refresh_token),
        )
        return await self._tokens(user, membership, session_id, refresh_token)

    async def sign_in_cookie(
        self,
        email: str,
        password: str,
        *,
        address: str,
        agent: str,
        code: str | None = None,
        instead_of: Caller | None = None,
    ) -> tuple[str, Caller]:
        """The value of a new session cookie, and who it is; arguments as in `open_cookie`, errors as in `sign_in`."""
        user, home, method = await self._sign_ins.verified(email, password, code, address)
        return await self.open_cookie(user, method, home, address=address, agent=agent, instead_of=instead_of)

    async def open_cookie(
        self,
        user: UserRow,
        method: Method,
        membership: MembershipRow | None = None,
        *,
        address: str,
        agent: str,
        instead_of: Caller | None = None,
    ) -> tuple[str, Caller]:
        """
        A cookie for somebody who has proven who they are.

        Args:
            membership: Where the session is to be; without one, where they were last.
            instead_of: Who this browser was until now; that session ends.

        Raises:
            Unauthenticated: They are in no organization.
        """
        membership = membership or await home_of(user.id, user.organization_id)
        if membership is None:
            raise Unauthenticated
        session_id, value = ids.new("session"), secrets.token_urlsafe(32)
        await self._start(
            session_id, user, membership, address, agent, kind=Kind.COOKIE, method=method, cookie_hash=digest(value)
        )
        if instead_of is not None and instead_of.session_id is not None:
            await self._revoke(instead_of.session_id, instead_of, "session.ended")
        return value, await of_user(user, membership, rate_limit=self._settings.limits.user, session_id=session_id)

    async def refresh(self, refresh_token: str, *, address: str, agent: str) -> Tokens:
        """
        New tokens for a refresh token, which is spent by it.

        Raises:
            Unauthenticated: Expired, revoked or used before; the last ends the session.
        """
        claims = self._signer.read(refresh_token, "refresh")
        session_id, now = claims.session_id, self._clock.now()
        session = await SessionRow.get_or_none(id=session_id, user_id=claims.user_id, kind="token")
        if session is None or session.revoked_at is not None or session.expires_at <= now:
            raise Unauthenticated
        membership = await membership_of(claims.user_id, session.organization_id)
        if membership is None:
            raise Unauthenticated
        user = membership.user
        used, renewed = digest(refresh_token), self._refresh_token(user.id, session_id)
        async with self._database.transaction():
            won = await SessionRow.filter(id=session_id, refresh_hash=used, revoked_at=None).update(
                refresh_hash=digest(renewed),
                previous_hash=used,
                rotated_at=now,
                last_used=now,
                expires_at=self._end(session.created_at),
                address=address[:64],
                agent=storable(agent, 200),
            )
        if won:
            return await self._tokens(user, membership, session_id, renewed)
        session = await SessionRow.get(id=session_id)
        parallel = session.previous_hash == used and session.rotated_at and now - session.rotated_at <= REFRESH_GRACE
        if not parallel:
            log.warning("refresh_token_reused", session_id=session_id, user_id=user.id, address=address)
            whose = await of_user(user, membership, rate_limit=self._settings.limits.user, session_id=session_id)
            await self._revoke(session_id, whose, "session.reused")
            async with self._database.transaction():
                await self._notices.tell(user, Notice.REFRESH_TOKEN_REUSED, address=address[:64])
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

    # Looking and ending ------------------------------------------------------------------------------------------

    async def listed(self, caller: Caller, page: Page, user_id: str | None = None) -> Listed[Session]:
        """
        Living sessions: one's own in every organization, or those of another user in the caller's.

        Raises:
            Forbidden: An API key, or somebody else's sessions, without `sessions:read`.
        """
        if caller.key_id is not None or user_id not in (None, caller.user_id):
            caller.require("sessions:read")
        found = self._living().filter(user_id=user_id or caller.user_id)
        if caller.key_id is not None or user_id not in (None, caller.user_id):
            found = found.filter(organization_id=caller.organization_id)
        rows = await found.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        return Listed(
            items=[row.to_domain() for row in rows], total=await found.count(), limit=page.limit, offset=page.offset
        )

    async def end(self, caller: Caller, id: str) -> None:
        """
        End a session of one's own, in whichever organization, or with `sessions:write` of somebody in the caller's.

        Raises:
            NotFound: No such living session that the caller may end.
        """
        mine = Q(user_id=caller.user_id)
        if caller.key_id is not None:
            caller.require("sessions:write")
            mine = Q(organization_id=caller.organization_id)
        elif caller.may("sessions:write"):
            mine |= Q(organization_id=caller.organization_id)
        row = await self._living().filter(mine, id=id).first()
        if row is None:
            raise NotFound.of("session", id)
        await self._revoke(row.id, caller, "session.ended", row.user_id)

    async def end_others(self, caller: Caller) -> int:
        """
        End every session of the caller's but the one that asks. Returns how many there were.

        Raises:
            Forbidden: An API key has no session that would stay.
        """
        if caller.session_id is None:
            raise Forbidden("An API key has no session. Sign in with a password.")
        async with self._database.transaction():
            ended = await end_sessions(caller.user_id, self._clock.now(), but=caller.session_id)
            await self._audit.record(
                "session.others_ended", organization_id=caller.organization_id, caller=caller, ended=ended
            )
        self._callers.changed(caller.user_id)
        return ended

    def _living(self) -> QuerySet[SessionRow]:
        now = self._clock.now()
        idle = timedelta(seconds=self._settings.auth.idle_seconds)
        awake = Q(kind=Kind.TOKEN.value) | Q(last_used__gt=now - idle)
        return SessionRow.filter(awake, revoked_at=None, expires_at__gt=now)

    # Parts -------------------------------------------------------------------------------------------------------

    async def _start(
        self,
        session_id: str,
        user: UserRow,
        membership: MembershipRow,
        address: str,
        agent: str,
        *,
        kind: Kind,
        method: Method,
        refresh_hash: str | None = None,
        cookie_hash: str | None = None,
    ) -> None:
        now = self._clock.now()
        await self._sweep(now)
        async with self._database.transaction():
            await SessionRow.create(
                id=session_id,
                user_id=user.id,
                organization_id=membership.organization_id,
                kind=kind.value,
                method=method.value,
                refresh_hash=refresh_hash,
                cookie_hash=cookie_hash,
                address=address[:64],
                agent=storable(agent, 200),
                last_used=now,
                created_at=now,
                expires_at=self._end(now),
            )
            await MembershipRow.filter(id=membership.id).update(last_active=now)
            await self._audit.record(
                "session.started",
                organization_id=membership.organization_id,
                actor=user.email,
                user_id=user.id,
                subject=session_id,
                kind=kind,
                agent=storable(agent, 200),
            )

    def _end(self, began: datetime) -> datetime:
        auth = self._settings.auth
        longest = began + timedelta(seconds=auth.session_seconds)
        return min(self._clock.now() + timedelta(seconds=auth.refresh_seconds), longest)

    async def _sweep(self, now: datetime) -> None:
        """Forget sessions that ended long ago."""
        if self._swept is not None and now < self._swept + SWEEP_EVERY:
            return
        self._swept = now
        old = SessionRow.filter(expires_at__lt=now - KEEP_ENDED)
        if await old.exists():
            async with self._database.transaction():
                await old.delete()

    async def _revoke(self, session_id: str, who: Caller, action: str, user_id: str | None = None) -> None:
        """
        Args:
            who: Whose act it is, and whose session unless `user_id` says otherwise.
        """
        user_id = user_id or who.user_id
        async with self._database.transaction():
            await SessionRow.filter(id=session_id, revoked_at=None).update(revoked_at=self._clock.now())
            await self._audit.record(
                action,
                organization_id=who.organization_id,
                actor=who.email,
                user_id=user_id,
                subject=session_id,
            )
        self._callers.changed(user_id)

    def _refresh_token(self, user_id: str, session_id: str) -> str:
        return self._signer.sign("refresh", user_id, session_id, self._settings.auth.refresh_seconds)

    async def _tokens(self, user: UserRow, membership: MembershipRow, session_id: str, refresh_token: str) -> Tokens:
        seconds = self._settings.auth.access_seconds
        access_token = self._signer.sign(
            "access",
            user.id,
            session_id,
            seconds,
            email=user.email,
            org_id=membership.organization_id,
            role=membership.role,
            scopes=sorted(await rights_of(membership)),
        )
        return Tokens(access_token=access_token, refresh_token=refresh_token, token_type="Bearer", expires_in=seconds)


async def end_sessions(
    user_id: str, now: datetime, *, but: str | None = None, organization_id: str | None = None
) -> int:
    """
    Inside a transaction; whoever calls it tells `Callers` after the commit.

    Args:
        organization_id: Only those in this organization.
    """
    living = SessionRow.filter(user_id=user_id, revoked_at=None).exclude(id=but or "")
    if organization_id is not None:
        living = living.filter(organization_id=organization_id)
    return await living.update(revoked_at=now)
