"""
Who somebody is: a password and, where the user has one, a second factor. Every way to guess them is slow.

Failures are counted three times: per account and address, per address, and per account. The last never closes an
account to addresses where its owner has signed in before, so that nobody can be locked out from afar.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import SessionRow, UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.database.tables.sign_in import RecoveryCodeRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.notices import Notice
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sessions import Method
from qstore_appliance.errors import (
    Forbidden,
    QStoreError,
    RateLimited,
    SecondFactorRequired,
    Unauthenticated,
    ValidationFailed,
)
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import home_of
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.failures import Attempt, Failures, network
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.passwords import MAX_LENGTH, Passwords
from qstore_appliance.services.texts import storable
from qstore_appliance.settings import Settings

#: Where an account has signed in is remembered for so long.
KNOWN_FOR = timedelta(days=90)
#: So many of its sessions are looked at for that.
KNOWN_SESSIONS = 200
_WRONG = "The e-mail address or the password is wrong."

log = structlog.get_logger(__name__)


class Proven(NamedTuple):
    """`home`: where the session begins; None where they are in no organization."""

    user: UserRow
    home: MembershipRow | None
    method: Method


class SignIns:
    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, codes: Codes, notices: Notices, settings: Settings
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._codes = codes
        self._notices = notices
        self._audit = Audit(database, clock)
        limits = settings.limits
        self._of_both = Failures(limits.sign_in_failures)
        self._of_address = Failures(
            limits.sign_in_failures_address, words="Too many failed sign-ins from this address."
        )
        self._of_account = Failures(
            limits.sign_in_failures_account, words="Too many failed sign-ins for this account from unknown addresses."
        )

    async def verified(
        self, email: str, password: str, code: str | None, address: str, *, homeless: bool = False
    ) -> Proven:
        """
        Args:
            homeless: Also somebody who is in no organization, such as who is about to join one.

        Raises:
            Unauthenticated: Wrong, unknown, disabled or in no organization: all the same words and the same time.
            SecondFactorRequired: The password is right, and a code is missing, wrong, or was used before.
            RateLimited: Too many failures, or too many sign-ins at once.
        """
        email = storable(email.strip().lower(), 255)
        attempts = await self._attempts(email, address)
        user = await UserRow.get_or_none(email=email)
        # Asked for an unknown user too, so that both take the same time.
        home = await home_of(user.id, user.organization_id) if user is not None else await home_of("", "")
        may = user is not None and not user.disabled and (home is not None or homeless)
        # Somebody without a password of their own comes through the provider.
        known = (user.password_hash or None) if user is not None and may else None
        try:
            right = len(password) <= MAX_LENGTH and await self._passwords.verify(known, password)
        except QStoreError:
            _forgive(attempts)
            raise
        if user is None or not right:
            log.info("sign_in_failed", address=address)
            await self._note_refusal(email, user)
            raise Unauthenticated(_WRONG)
        method = await self._second(user, code, attempts)
        _forgive(attempts)
        renewed = await self._passwords.hash(password) if self._passwords.is_outdated(user.password_hash) else None
        async with self._database.transaction():
            await UserRow.filter(id=user.id).update(last_active=self._clock.now())
            if renewed is not None:
                # Only over the hash that was verified: a password changed meanwhile stays changed.
                await UserRow.filter(id=user.id, password_hash=user.password_hash).update(password_hash=renewed)
            if method is Method.RECOVERY_CODE:
                left = await RecoveryCodeRow.filter(user_id=user.id, used_at=None).count()
                await self._notices.tell(user, Notice.RECOVERY_CODE_USED, left=left)
        return Proven(user, home, method)

    async def confirmed(self, caller: Caller, password: str, address: str, field: str = "password") -> UserRow:
        """
        The caller's own user, once they have shown again that they know the password.

        Raises:
            Forbidden: An API key is nobody who could.
            ValidationFailed: It is wrong, naming the field. (401 would say that the session has ended.)
            RateLimited: Too many failures, or too many sign-ins at once.
        """
        if caller.key_id is not None:
            raise Forbidden("An API key cannot change how its owner signs in. Sign in with a password.")
        attempts = await self._attempts(caller.email, address)
        user = await UserRow.get_or_none(id=caller.user_id, disabled=False)
        if user is None:
            raise Unauthenticated
        try:
            right = len(password) <= MAX_LENGTH and await self._passwords.verify(user.password_hash or None, password)
        except QStoreError:
            _forgive(attempts)
            raise
        if not right:
            raise ValidationFailed.field(field, "is not your password")
        _forgive(attempts)
        return user

    async def _second(self, user: UserRow, code: str | None, attempts: list[Attempt]) -> Method:
        if not await self._codes.needed(user.id):
            return Method.PASSWORD
        if code is None:
            # Nothing was guessed: who knows the password is merely asked for more.
            _forgive(attempts)
            raise SecondFactorRequired
        try:
            return await self._codes.checked(user.id, code)
        except SecondFactorRequired:
            log.info("second_factor_failed", user_id=user.id)
            await self._note_refusal(user.email, user)
            raise

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

    async def _attempts(self, email: str, address: str) -> list[Attempt]:
        made: list[Attempt] = []
        try:
            made.append(self._of_address.attempt("", address))
            made.append(self._of_both.attempt(email, address))
            try:
                made.append(self._of_account.attempt(email, ""))
            except RateLimited:
                if not await self._has_been_here(email, address):
                    raise
        except QStoreError:
            _forgive(made)
            raise
        return made

    async def _has_been_here(self, email: str, address: str) -> bool:
        since = self._clock.now() - KNOWN_FOR
        recent = SessionRow.filter(user__email=email, created_at__gte=since).order_by("-created_at")
        places = await recent.limit(KNOWN_SESSIONS).values_list("address", flat=True)
        return network(address) in {network(str(place)) for place in places}


def _forgive(attempts: list[Attempt]) -> None:
    for attempt in attempts:
        attempt.forgive()
