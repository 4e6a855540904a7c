"""Organizations and users: set-up, the host's own commands, one's own profile."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow, SessionRow, SetupRow, UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.database.tables.sign_in import PasswordResetRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import (
    ApiKey,
    ApiKeyDraft,
    Caller,
    Organization,
    ProfilePatch,
    Role,
    SetupDraft,
    User,
)
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.members import Person
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, Forbidden, Gone, NotFound, Refused, Unauthenticated, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers, alone, home_of, membership_of, of_user, permissions_of
from qstore_appliance.services.keys import Keys
from qstore_appliance.services.passwords import Passwords, check_password
from qstore_appliance.services.texts import refuse_unstorable
from qstore_appliance.settings import Settings

MAX_PREFERENCES_BYTES = 10_000
_SETUP = "setup"
_ROLES = f"must be one of {', '.join(Role)}"
_FASTER = "Somebody else has just set this appliance up. Sign in."
#: Any number that only we use: on Postgres, accounts are made one after the other.
_ADVISORY_KEY = 0x4143434F554E


class Accounts:
    def __init__(self, database: Database, clock: Clock, passwords: Passwords, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._has_users = False
        self._audit = Audit(database, clock)
        self.passwords = passwords
        #: Shared with `Sessions`, which asks it; whoever changes a user or a key tells it.
        self.callers = Callers()
        self._keys = Keys(database, clock, settings, self.callers)

    # Set-up ------------------------------------------------------------------------------------------------------

    async def has_users(self) -> bool:
        # Users are never deleted from a whole installation, so "yes" stays true.
        self._has_users = self._has_users or await UserRow.exists()
        return self._has_users

    async def issue_setup_token(self) -> str | None:
        """A new one-time token that replaces the one before; None when there is a user already."""
        if await self.has_users():
            return None
        token = secrets.token_urlsafe(24)
        expires_at = self._clock.now() + timedelta(seconds=self._settings.auth.setup_seconds)
        async with self._database.transaction():
            await SetupRow.filter(id=_SETUP).delete()
            await SetupRow.create(id=_SETUP, token_hash=_digest(token), expires_at=expires_at)
        return token

    async def setup(self, draft: SetupDraft) -> User:
        """
        Make the first owner.

        Raises:
            Gone: There is a user already.
            Unauthenticated: The token is wrong or has expired.
            Conflict: Somebody else was a moment faster.
            ValidationFailed: The password is too easy to guess.
        """
        if await self.has_users():
            raise Gone("This appliance has been set up. Sign in.")
        row = await SetupRow.get_or_none(id=_SETUP)
        wrong = row is None or not hmac.compare_digest(row.token_hash, _digest(draft.token))
        if row is None or wrong or row.expires_at <= self._clock.now():
            if await UserRow.exists():
                raise Conflict(_FASTER)
            raise Unauthenticated("The set-up token is wrong or has expired. Restart the server to get a new one.")
        refuse_unstorable(email=draft.email, organization=draft.organization, name=draft.name)
        check_password(draft.password, draft.email, draft.organization, draft.name or "")
        password_hash = await self.passwords.hash(draft.password)
        async with self._database.transaction():
            if await self._first_taken() or not await SetupRow.filter(id=_SETUP, token_hash=row.token_hash).delete():
                raise Conflict(_FASTER)
            return await self._first_owner(draft.email, password_hash, draft.organization, draft.name)

    async def create_owner(self, email: str, password: str, organization: str, name: str | None = None) -> User:
        """
        Make the first owner from the host's command line.

        Raises:
            Refused: There is a user already.
            ValidationFailed: The password is too easy to guess.
        """
        email = _normal_email(email)
        refuse_unstorable(organization=organization, name=name)
        if await self.has_users():
            raise Refused("This appliance has an owner already.")
        check_password(password, email, organization, name or "")
        password_hash = await self.passwords.hash(password)
        async with self._database.transaction():
            if await self._first_taken():
                raise Refused("This appliance has an owner already.")
            await SetupRow.filter(id=_SETUP).delete()
            return await self._first_owner(email, password_hash, organization, name)

    async def _first_taken(self) -> bool:
        await self._one_at_a_time()
        return await UserRow.exists()

    async def _first_owner(self, email: str, password_hash: str, organization: str, name: str | None) -> User:
        home = await OrganizationRow.create(id=ids.new("org"), name=organization)
        user = await UserRow.create(
            id=ids.new("user"),
            email=email,
            name=name or email.partition("@")[0],
            password_hash=password_hash,
            organization=home,
            operator=True,
        )
        await join(user.id, home.id, Role.OWNER, self._clock.now())
        await self._audit.record(
            "installation.set_up",
            organization_id=home.id,
            actor=email,
            user_id=user.id,
            subject=user.id,
            organization=organization,
        )
        return user.to_domain(home.id, Role.OWNER)

    async def _one_at_a_time(self) -> None:
        """Inside a transaction: nobody else makes an account until it ends. On SQLite every transaction is alone."""
        if self._database.dialect == "postgres":
            await self._database.connection.execute_query(f"SELECT pg_advisory_xact_lock({_ADVISORY_KEY})")

    # The host's commands -----------------------------------------------------------------------------------------

    async def create_user(
        self, email: str, organization: str, role: str, password: str, name: str | None = None
    ) -> User:
        """
        Make a user; the organization is made if there is none of that name.

        Raises:
            Conflict: There is a user with this address.
            ValidationFailed: The role, which the organization must have, or the password.
        """
        email = _normal_email(email)
        refuse_unstorable(organization=organization, name=name)
        check_password(password, email, organization, name or "")
        password_hash = await self.passwords.hash(password)
        try:
            async with self._database.transaction():
                await self._one_at_a_time()
                home = await OrganizationRow.filter(name=organization).order_by("created_at").first()
                if home is None:
                    home = await OrganizationRow.create(id=ids.new("org"), name=organization)
                    await self._audit.record(
                        "organization.created", organization_id=home.id, subject=home.id, name=organization
                    )
                await alone(self._database, home.id)
                if await permissions_of(home.id, role) is None:
                    raise ValidationFailed.field("role", f"{_ROLES}, or one that the organization has made")
                user = await UserRow.create(
                    id=ids.new("user"),
                    email=email,
                    name=name or email.partition("@")[0],
                    password_hash=password_hash,
                    organization=home,
                    # Whoever comes first has the rights of an operator: somebody must.
                    operator=role == Role.OWNER and not await UserRow.exists(),
                )
                await join(user.id, home.id, role, self._clock.now())
                await self._audit.record(
                    "user.created", organization_id=home.id, subject=user.id, email=email, role=role
                )
        except IntegrityError as error:
            raise Conflict("There is a user with this e-mail address.", details={"email": email}) from error
        return user.to_domain(home.id, role)

    async def list_users_of_installation(self) -> list[Person]:
        """Everybody, once for each organization that they are in."""
        found: list[Person] = []
        memberships: dict[str, list[MembershipRow]] = {}
        for row in await MembershipRow.all().order_by("created_at", "id"):
            memberships.setdefault(row.user_id, []).append(row)
        for user in await UserRow.all().order_by("created_at", "id"):
            for membership in memberships.get(user.id, [None]):
                person = Person(
                    id=user.id,
                    email=user.email,
                    name=user.name,
                    operator=user.operator,
                    disabled=user.disabled or (membership is not None and membership.disabled),
                    created_at=user.created_at,
                    organization_id=membership.organization_id if membership else None,
                    role=membership.role if membership else None,
                )
                found.append(person)
        return found

    async def reset_password(self, email: str, password: str) -> None:
        """
        Set a new password; every session of the user ends.

        Raises:
            NotFound: There is no such user.
            ValidationFailed: The password is too easy to guess.
        """
        user = await self._by_email(email)
        check_password(password, user.email, user.name)
        user.password_hash = await self.passwords.hash(password)
        async with self._database.transaction():
            await user.save(update_fields=["password_hash", "updated_at"])
            await PasswordResetRow.filter(user_id=user.id, used_at=None).update(used_at=self._clock.now())
            await self._end_sessions(user.id)
            await self._audit.record(
                "user.password_reset", organization_id=user.organization_id, subject=user.id, email=user.email
            )
        self.callers.changed(user.id)

    async def disable(self, email: str) -> None:
        """
        Take away every access of a user, keys included.

        Raises:
            NotFound: There is no such user.
        """
        # The machine's own command asks no owner, and may keep out the last one.
        user = await self._by_email(email)
        user.disabled = True
        async with self._database.transaction():
            await user.save(update_fields=["disabled", "updated_at"])
            await self._end_sessions(user.id)
            await self._audit.record(
                "user.disabled", organization_id=user.organization_id, subject=user.id, email=user.email
            )
        self.callers.changed(user.id)

    async def enable(self, email: str) -> None:
        """
        Let a user in again who was kept out on the host; their organizations may still keep them out.

        Raises:
            NotFound: There is no such user.
        """
        user = await self._by_email(email)
        user.disabled = False
        async with self._database.transaction():
            await user.save(update_fields=["disabled", "updated_at"])
            await self._audit.record(
                "user.enabled", organization_id=user.organization_id, subject=user.id, email=user.email
            )
        self.callers.changed(user.id)

    async def caller_of(self, email: str) -> Caller:
        """
        What the host's command line acts as when it acts for a user.

        Raises:
            NotFound: There is no such user.
            Refused: The user is disabled, or in no organization.
        """
        user = await self._by_email(email)
        if user.disabled:
            raise Refused(f"{user.email} is disabled.")
        home = await home_of(user.id, user.organization_id)
        if home is None:
            raise Refused(f"{user.email} is in no organization.")
        return await of_user(user, home, rate_limit=self._settings.limits.user)

    async def _by_email(self, email: str) -> UserRow:
        user = await UserRow.get_or_none(email=_normal_email(email))
        if user is None:
            raise NotFound("No user with this e-mail address.", details={"email": email[:255]})
        return user

    async def _end_sessions(self, user_id: str) -> None:
        await SessionRow.filter(user_id=user_id, revoked_at=None).update(revoked_at=self._clock.now())

    # Oneself -----------------------------------------------------------------------------------------------------

    async def me(self, caller: Caller) -> User:
        """
        Raises:
            Unauthenticated: The user is gone.
        """
        membership = await self._own_row(caller)
        return membership.user.to_domain(membership.organization_id, membership.role)

    async def organization(self, caller: Caller) -> Organization:
        return (await OrganizationRow.get(id=caller.organization_id)).to_domain()

    async def members(self, caller: Caller) -> int:
        """How many users the caller's organization has; who is disabled does not count."""
        here = MembershipRow.filter(organization_id=caller.organization_id, disabled=False, user__disabled=False)
        return await here.count()

    async def update_me(self, caller: Caller, patch: ProfilePatch) -> User:
        """
        Change one's name; merge into one's preferences, where null removes one.

        Raises:
            Forbidden: An API key acts for its owner within its scopes, and none of them is about the owner.
            ValidationFailed: The preferences grow beyond 10 KB.
        """
        if caller.key_id is not None:
            raise Forbidden("An API key cannot change its owner's profile. Sign in with a password.")
        async with self._database.transaction():
            membership = await self._own_row(caller)
            # Nobody else changes it meanwhile: preferences are merged.
            user = await UserRow.filter(id=membership.user_id).select_for_update().get()
            refuse_unstorable(name=patch.name, preferences=patch.preferences)
            if patch.name is not None:
                user.name = patch.name
            if patch.preferences is not None:
                user.preferences = _merged(user.preferences, patch.preferences)
            await user.save(update_fields=["name", "preferences", "updated_at"])
        self.callers.changed(user.id)
        return user.to_domain(membership.organization_id, membership.role)

    async def _own_row(self, caller: Caller) -> MembershipRow:
        membership = await membership_of(caller.user_id, caller.organization_id)
        if membership is None:
            raise Unauthenticated
        return membership

    # Keys --------------------------------------------------------------------------------------------------------

    async def create_key(self, caller: Caller, draft: ApiKeyDraft) -> ApiKey:
        """See `Keys.create`."""
        return await self._keys.create(caller, draft)

    async def list_keys(self, caller: Caller, page: Page | None = None) -> Listed[ApiKey]:
        """See `Keys.listed`."""
        return await self._keys.listed(caller, page or Page())

    async def revoke_key(self, caller: Caller, id: str) -> None:
        """See `Keys.revoke`."""
        await self._keys.revoke(caller, id)


async def join(user_id: str, organization_id: str, role: str, now: datetime) -> None:
    """Inside a transaction: somebody belongs to an organization from now on."""
    await MembershipRow.create(
        id=ids.new("member"),
        user_id=user_id,
        organization_id=organization_id,
        role=role,
        created_at=now,
        updated_at=now,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _normal_email(email: str) -> str:
    normal = email.strip().lower()
    refuse_unstorable(email=normal)
    local, at, domain = normal.partition("@")
    if not (local and at and domain) or len(normal) > 255 or "@" in domain or any(c.isspace() for c in normal):
        raise ValidationFailed.field("email", "must look like name@example.org")
    return normal


def _merged(present: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = {key: value for key, value in {**present, **patch}.items() if value is not None}
    if len(msgspec.json.encode(merged)) > MAX_PREFERENCES_BYTES:
        raise ValidationFailed.field("preferences", f"larger than {MAX_PREFERENCES_BYTES} bytes as JSON")
    return merged
