"""
Sign-in through an OpenID Connect provider, for accounts that exist here.

The provider vouches for somebody; who they are here, and what they may do, stays ours. The first time they are found by
the e-mail address that the provider says is theirs, afterwards by the provider's own name for them: an address that is
later given to somebody else opens nothing.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow, UserRow
from qstore_appliance.database.tables.sign_in import IdentityRow, RecoveryCodeRow, SecondFactorRow
from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.notices import Notice
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sessions import Method
from qstore_appliance.errors import Forbidden, NotFound, QStoreError, Unauthenticated, Unavailable
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import home_of
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.seals import Seal
from qstore_appliance.services.sessions import Sessions, end_sessions

if TYPE_CHECKING:
    from qstore_appliance.deliveries.provider import Identity, Provider

#: Signing in at the provider may take so long.
JOURNEY_SECONDS = 600
_STRANGER = "There is no account here for who you are at the provider. Ask an administrator for one."
_AGAIN = "This sign-in was not begun in this browser, or too long ago. Begin again."

log = structlog.get_logger(__name__)


class _Journey(msgspec.Struct, frozen=True):
    """What a browser carries along, sealed, while it is away at the provider."""

    state: str
    nonce: str
    verifier: str
    target: str


class Arrival(NamedTuple):
    """Somebody is back: the value of their session's cookie, who they are, and the page that they wanted."""

    cookie: str
    caller: Caller
    target: str


class Identities:
    """
    Args:
        provider: None where the operator has set none.
        secret: The installation's.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        provider: Provider | None,
        sessions: Sessions,
        notices: Notices,
        secret: bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = Audit(database, clock)
        self._provider = provider
        self._sessions = sessions
        self._notices = notices
        self._seal = Seal(secret, "journeys to the provider", clock)

    @property
    def offered(self) -> bool:
        return self._provider is not None

    async def depart(self, target: str) -> tuple[str, str]:
        """
        The provider's address, and what the browser has to bring back in a cookie.

        Raises:
            NotFound: No provider is set.
            Unavailable: It does not answer, or not as one.
        """
        provider = self._set()
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        journey = _Journey(state, nonce, verifier, target)
        try:
            address = await provider.address(journey.state, journey.nonce, journey.verifier)
        except NotDelivered as error:
            raise _told(error) from error
        return address, self._seal.close(msgspec.json.encode(journey))

    async def arrive(
        self,
        carried: str,
        *,
        state: str,
        code: str,
        issuer: str | None,
        address: str,
        agent: str,
        instead_of: Caller | None = None,
    ) -> Arrival:
        """
        Args:
            carried: The cookie from `depart`.
            state, code, issuer: What the provider sent the browser back with.
            instead_of: Who this browser was until now.

        Raises:
            Unauthenticated: Another browser's journey, an old one, or nothing of it can be believed.
            Forbidden: There is no account here for them.
            Unavailable: The provider does not answer.
        """
        provider = self._set()
        opened = self._seal.open(carried, JOURNEY_SECONDS)
        journey = msgspec.json.decode(opened, type=_Journey) if opened is not None else None
        if journey is None or not secrets.compare_digest(
            journey.state.encode(), state.encode("utf-8", "surrogatepass")
        ):
            raise Unauthenticated(_AGAIN)
        try:
            identity = await provider.identity(
                code, journey.nonce, journey.verifier, issuer, self._clock.now().timestamp()
            )
        except NotDelivered as error:
            raise _told(error) from error
        user = await self._user(identity)
        cookie, caller = await self._sessions.open_cookie(
            user, Method.PROVIDER, address=address, agent=agent, instead_of=instead_of
        )
        return Arrival(cookie, caller, journey.target)

    def _set(self) -> Provider:
        if self._provider is None:
            raise NotFound("This installation has no provider to sign in with.")
        return self._provider

    async def _user(self, identity: Identity) -> UserRow:
        known = await IdentityRow.get_or_none(issuer=identity.issuer, subject=identity.subject)
        user = await self._linked(identity) if known is None else await UserRow.get_or_none(id=known.user_id)
        home = None if user is None else await home_of(user.id, user.organization_id)
        if user is None or user.disabled or home is None:
            log.info("provider_sign_in_refused", subject=identity.subject)
            await self._audit.record(
                "session.refused",
                organization_id=user.organization_id if user else None,
                actor=identity.email or identity.subject,
                user_id=user.id if user else "",
                subject=identity.subject,
                issuer=identity.issuer,
            )
            raise Forbidden(_STRANGER)
        now = self._clock.now()
        async with self._database.transaction():
            await UserRow.filter(id=user.id).update(last_active=now)
            await IdentityRow.filter(issuer=identity.issuer, subject=identity.subject).update(last_used=now)
        return user

    async def _linked(self, identity: Identity) -> UserRow | None:
        """The account of the address that the provider vouches for, theirs from now on; None where it is not to be had."""
        if identity.email is None:
            return None
        user = await UserRow.get_or_none(email=identity.email.strip().lower(), disabled=False)
        if user is None:
            return None
        now = self._clock.now()
        try:
            async with self._database.transaction():
                await IdentityRow.create(
                    id=ids.new("identity"),
                    user_id=user.id,
                    issuer=identity.issuer,
                    subject=identity.subject,
                    created_at=now,
                    last_used=now,
                )
                if not user.email_proven:
                    await _taken_over(user, now)
                await self._notices.tell(user, Notice.PROVIDER_LINKED, issuer=identity.issuer)
                await self._audit.record(
                    "identity.linked",
                    organization_id=user.organization_id,
                    actor=user.email,
                    user_id=user.id,
                    subject=identity.subject,
                    issuer=identity.issuer,
                )
        except IntegrityError:
            # Somebody else at the provider is this user: the address has changed hands there.
            return None
        return user


async def _taken_over(user: UserRow, now: datetime) -> None:
    """
    The provider vouches for the address, and nobody has so far: whoever made the account with an invitation's link may
    have been somebody else. Their password, sessions and keys are worth nothing from now on.
    """
    await UserRow.filter(id=user.id).update(password_hash="", email_proven=True, updated_at=now)
    await end_sessions(user.id, now)
    await SecondFactorRow.filter(user_id=user.id).delete()
    await RecoveryCodeRow.filter(user_id=user.id).delete()
    await ApiKeyRow.filter(user_id=user.id, revoked_at=None).update(revoked_at=now)


def _told(error: NotDelivered) -> QStoreError:
    return Unauthenticated(error.reason) if error.final else Unavailable(error.reason, retry_after=10)
