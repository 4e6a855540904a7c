"""
Invitations: made by an administrator, mailed where there is a mail server, accepted once.

Whoever has the link may become a member under the address that it was made for: with a new account, or with the password
of the account that the address has already. It gives no more than whoever made it still has when it is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow, UserRow
from qstore_appliance.database.tables.invitations import InvitationRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.invitations import (
    AcceptDraft,
    Accepted,
    Invitation,
    InvitationDraft,
    InvitationStatus,
    Offer,
)
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.notices import Notice
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.roles import covers
from qstore_appliance.errors import Conflict, Forbidden, Gone, NotFound
from qstore_appliance.services.accounts import join
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers, alone, membership_of, permissions_of, rights_of, standing
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.passwords import Passwords, check_password
from qstore_appliance.services.roles import given
from qstore_appliance.services.seals import Stamp
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.texts import refuse_unstorable
from qstore_appliance.settings import Settings

SORTS = ("created_at", "email", "expires_at")
#: That wait, of one organization.
MAX_PENDING = 200
_USED = "This invitation was used, taken back, or is too old. Ask for another."


class Invitations:
    """
    Args:
        stamp: Turns an invitation's id into the secret of its link.
        link: The address that an invitation's id stands for.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        sign_ins: SignIns,
        notices: Notices,
        callers: Callers,
        stamp: Stamp,
        link: Callable[[str], str],
        settings: Settings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._sign_ins = sign_ins
        self._notices = notices
        self._callers = callers
        self._stamp = stamp
        self._link = link
        self._settings = settings
        self._audit = Audit(database, clock)

    # By administrators -------------------------------------------------------------------------------------------

    async def create(self, caller: Caller, draft: InvitationDraft) -> Invitation:
        """
        A link for one address; an older one for it is taken back. `link` is in this answer and nowhere else.

        Raises:
            Forbidden: Without `users:invite`, or with a role that has rights which the caller lacks.
            ValidationFailed: The organization has no such role.
            Conflict: They are a member already, or too many invitations wait.
        """
        caller.require("users:invite")
        refuse_unstorable(email=draft.email)
        role, now = draft.role, self._clock.now()
        async with self._database.transaction():
            await alone(self._database, caller.organization_id)
            if not covers(await standing(caller), await given(caller.organization_id, role)):
                raise Forbidden(f"You cannot invite anybody as {role}: that role has rights that you lack.")
            if await MembershipRow.exists(organization_id=caller.organization_id, user__email=draft.email):
                raise Conflict("They are in your organization already.", details={"email": draft.email})
            waiting = _with(InvitationStatus.PENDING, now) & Q(organization_id=caller.organization_id)
            await InvitationRow.filter(waiting, email=draft.email).update(revoked_at=now)
            if await InvitationRow.filter(waiting).count() >= MAX_PENDING:
                raise Conflict(f"{MAX_PENDING} invitations wait already; revoke one.", details={"limit": MAX_PENDING})
            row = await InvitationRow.create(
                id=ids.new("invite"),
                organization_id=caller.organization_id,
                email=draft.email,
                role=role,
                invited_by=caller.user_id,
                mailed=self._notices.sends,
                created_at=now,
                expires_at=now + timedelta(seconds=self._settings.auth.invitation_seconds),
            )
            await self._mail(caller, row)
            await self._audit.record(
                "invitation.created",
                organization_id=caller.organization_id,
                caller=caller,
                subject=row.id,
                email=row.email,
                role=row.role,
            )
        return row.to_domain(now, self._link(row.id))

    async def listed(self, caller: Caller, page: Page, status: InvitationStatus | None = None) -> Listed[Invitation]:
        """
        Raises:
            Forbidden: Without `users:read`.
        """
        caller.require("users:read")
        now = self._clock.now()
        rows = InvitationRow.filter(organization_id=caller.organization_id)
        if status is not None:
            rows = rows.filter(_with(status, now))
        found = await rows.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        items = [row.to_domain(now) for row in found]
        return Listed(items=items, total=await rows.count(), limit=page.limit, offset=page.offset)

    async def revoke(self, caller: Caller, id: str) -> None:
        """
        Take a link back that nobody has used.

        Raises:
            Forbidden: Without `users:invite`.
            NotFound: No such invitation that waits.
        """
        caller.require("users:invite")
        now = self._clock.now()
        async with self._database.transaction():
            row = await InvitationRow.get_or_none(id=id, organization_id=caller.organization_id)
            waiting = InvitationRow.filter(_with(InvitationStatus.PENDING, now), id=id)
            if row is None or not await waiting.update(revoked_at=now):
                raise NotFound.of("invitation", id)
            await self._audit.record(
                "invitation.revoked",
                organization_id=caller.organization_id,
                caller=caller,
                subject=row.id,
                email=row.email,
            )

    # By whoever has the link -------------------------------------------------------------------------------------

    async def offer(self, token: str) -> Offer:
        """
        Raises:
            Gone: Not a link of ours, or used, taken back or too old.
        """
        row = await self._waiting(token)
        home = await OrganizationRow.get(id=row.organization_id)
        return Offer(organization=home.name, email=row.email, role=row.role, expires_at=row.expires_at)

    async def accept(self, draft: AcceptDraft, *, address: str) -> Accepted:
        """
        Become a member, with a new account or with the one that the address has; the link is spent by it. Signing in
        leads there from now on.

        Raises:
            Gone: Not a link of ours, or used, taken back or too old; or whoever made it may no longer give that role.
            ValidationFailed: The new account's password is too easy to guess; the link stays good.
            Unauthenticated, SecondFactorRequired, RateLimited: The address has an account: as `SignIns.verified`.
            Conflict: They are a member already.
        """
        row = await self._waiting(draft.token)
        if await UserRow.exists(email=row.email):
            proven = await self._sign_ins.verified(row.email, draft.password, draft.code, address, homeless=True)
            return await self._joined(row, lambda: _known(proven.user))
        refuse_unstorable(name=draft.name)
        check_password(draft.password, row.email, draft.name or "")
        password_hash = await self._passwords.hash(draft.password)
        return await self._joined(row, lambda: self._new_user(row, draft, password_hash))

    async def join(self, caller: Caller, token: str) -> Accepted:
        """
        The same for whoever is signed in under the address of the invitation.

        Raises:
            Gone, Conflict: As `accept`.
            Forbidden: The caller is somebody else, or an API key.
        """
        row = await self._waiting(token)
        if caller.key_id is not None or caller.email != row.email:
            raise Forbidden("This invitation is for somebody else. Sign out, or ask for one of your own.")
        user = await UserRow.get(id=caller.user_id)
        return await self._joined(row, lambda: _known(user))

    # Parts -------------------------------------------------------------------------------------------------------

    async def _joined(self, row: InvitationRow, guest: Callable[[], Awaitable[UserRow]]) -> Accepted:
        now = self._clock.now()
        try:
            async with self._database.transaction():
                await alone(self._database, row.organization_id)
                waiting = InvitationRow.filter(_with(InvitationStatus.PENDING, now), id=row.id)
                inviter = await membership_of(row.invited_by, row.organization_id)
                offered = await permissions_of(row.organization_id, row.role)
                if inviter is None or offered is None or not covers(await rights_of(inviter), offered):
                    raise Gone(_USED)
                user = await guest()
                if not await waiting.update(accepted_at=now, accepted_by=user.id):
                    raise Gone(_USED)
                if await MembershipRow.exists(user_id=user.id, organization_id=row.organization_id):
                    raise Conflict("You are in this organization already.")
                await join(user.id, row.organization_id, row.role, now)
                await UserRow.filter(id=user.id).update(organization_id=row.organization_id)
                await self._audit.record(
                    "invitation.accepted",
                    organization_id=row.organization_id,
                    actor=user.email,
                    user_id=user.id,
                    subject=row.id,
                    role=row.role,
                    invited_by=row.invited_by,
                )
        except IntegrityError as error:
            raise Conflict("This address got an account a moment ago. Try again with its password.") from error
        self._callers.changed(user.id)
        home = await OrganizationRow.get(id=row.organization_id)
        return Accepted(
            user_id=user.id, email=user.email, organization_id=home.id, organization=home.name, role=row.role
        )

    async def _waiting(self, token: str) -> InvitationRow:
        id = self._stamp.id_of(token)
        row = None if id is None else await InvitationRow.get_or_none(id=id)
        if row is None or row.status(self._clock.now()) is not InvitationStatus.PENDING:
            raise Gone(_USED)
        return row

    async def _new_user(self, row: InvitationRow, draft: AcceptDraft, password_hash: str) -> UserRow:
        user = await UserRow.create(
            id=ids.new("user"),
            email=row.email,
            name=draft.name or row.email.partition("@")[0],
            password_hash=password_hash,
            organization_id=row.organization_id,
            # Whoever made the link has seen it as well, and may have used it themselves.
            email_proven=False,
        )
        await self._audit.record(
            "user.created", organization_id=row.organization_id, actor=row.email, subject=user.id, email=row.email
        )
        return user

    async def _mail(self, caller: Caller, row: InvitationRow) -> None:
        home = await OrganizationRow.get(id=row.organization_id)
        await self._notices.tell_address(
            row.organization_id,
            row.email,
            Notice.INVITED,
            invitation=row.id,
            inviter=caller.email,
            organization=home.name,
            role=row.role,
            until=f"{row.expires_at:%Y-%m-%d %H:%M} UTC",
        )


async def _known(user: UserRow) -> UserRow:
    return user


def _with(status: InvitationStatus, now: datetime) -> Q:
    """Rows of this status."""
    match status:
        case InvitationStatus.ACCEPTED:
            return Q(accepted_at__isnull=False)
        case InvitationStatus.REVOKED:
            return Q(accepted_at=None, revoked_at__isnull=False)
        case InvitationStatus.PENDING:
            return Q(accepted_at=None, revoked_at=None, expires_at__gt=now)
    return Q(accepted_at=None, revoked_at=None, expires_at__lte=now)
