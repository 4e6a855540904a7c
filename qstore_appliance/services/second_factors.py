"""Second factors: turned on with a first code, turned off with the password and a code, dropped by the host."""

from __future__ import annotations

import io

import pyotp
import segno

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.database.tables.sign_in import RecoveryCodeRow, SecondFactorRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.notices import Notice
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.second_factors import Enrolment, SecondFactor
from qstore_appliance.errors import Conflict, Forbidden, NotFound, SecondFactorRequired, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.failures import Failures
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.sessions import end_sessions
from qstore_appliance.services.sign_ins import SignIns

#: What authenticators show above the code.
ISSUER = "Q-Store"
_ON = "The second factor is on already. Turn it off first."


class SecondFactors:
    """
    Args:
        callers: Told when sessions end.
    """

    def __init__(
        self, database: Database, clock: Clock, sign_ins: SignIns, codes: Codes, notices: Notices, callers: Callers
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = Audit(database, clock)
        self._sign_ins = sign_ins
        self._codes = codes
        self._notices = notices
        self._callers = callers
        self._failures = Failures(10, words="Too many wrong codes.")

    async def of(self, caller: Caller) -> SecondFactor:
        row = await SecondFactorRow.get_or_none(user_id=caller.user_id, confirmed_at__isnull=False)
        if row is None:
            return SecondFactor(enabled=False, since=None, recovery_codes_left=0)
        left = await RecoveryCodeRow.filter(user_id=caller.user_id, used_at=None).count()
        return SecondFactor(enabled=True, since=row.confirmed_at, recovery_codes_left=left)

    async def enrol(self, caller: Caller, password: str, address: str) -> Enrolment:
        """
        A new secret for an authenticator. Nothing is asked for until `confirm` has seen a code of it.

        Raises:
            Conflict: There is one that works.
            Forbidden, ValidationFailed, RateLimited: As `SignIns.confirmed`.
        """
        user = await self._sign_ins.confirmed(caller, password, address)
        secret, sealed = self._codes.new_secret()
        async with self._database.transaction():
            await UserRow.filter(id=user.id).select_for_update().first()
            if await self._codes.needed(user.id):
                raise Conflict(_ON)
            await SecondFactorRow.filter(user_id=user.id).delete()
            await SecondFactorRow.create(
                id=ids.new("factor"), user_id=user.id, secret=sealed, created_at=self._clock.now()
            )
        uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)
        return Enrolment(secret=secret, uri=uri, qr=_picture(uri))

    async def confirm(self, caller: Caller, code: str) -> list[str]:
        """
        Turn it on: the authenticator has shown a right code. Other sessions of the user end.

        Returns:
            Recovery codes, which are shown here and nowhere else.

        Raises:
            NotFound: Nobody has begun.
            Conflict: It is on already.
            ValidationFailed: The code is wrong.
            RateLimited: Too many wrong ones.
        """
        if caller.key_id is not None:
            raise Forbidden("An API key cannot change how its owner signs in. Sign in with a password.")
        row = await SecondFactorRow.get_or_none(user_id=caller.user_id)
        if row is None:
            raise NotFound("No second factor has been begun. Ask for a secret first.")
        if row.confirmed_at is not None:
            raise Conflict(_ON)
        attempt = self._failures.attempt(caller.user_id, "")
        if not await self._codes.spend(row, code):
            raise ValidationFailed.field("code", "is not the authenticator's present code")
        attempt.forgive()
        now = self._clock.now()
        async with self._database.transaction():
            pending = SecondFactorRow.filter(id=row.id, secret=row.secret, confirmed_at=None)
            if not await pending.update(confirmed_at=now):
                raise Conflict("Somebody has begun anew meanwhile.")
            recovery_codes = await self._codes.new_recovery_codes(caller.user_id)
            await end_sessions(caller.user_id, now, but=caller.session_id)
            await self._tell(caller.user_id, Notice.SECOND_FACTOR_ADDED)
            await self._audit.record(
                "second_factor.added", organization_id=caller.organization_id, caller=caller, subject=caller.user_id
            )
        self._callers.changed(caller.user_id)
        return recovery_codes

    async def renew_recovery_codes(self, caller: Caller, password: str, code: str, address: str) -> list[str]:
        """
        New recovery codes; the ones before are worth nothing any more.

        Raises:
            As `remove`.
        """
        await self._shown(caller, password, code, address)
        async with self._database.transaction():
            recovery_codes = await self._codes.new_recovery_codes(caller.user_id)
            await self._audit.record(
                "second_factor.codes_renewed",
                organization_id=caller.organization_id,
                caller=caller,
                subject=caller.user_id,
            )
        return recovery_codes

    async def remove(self, caller: Caller, password: str, code: str, address: str) -> None:
        """
        Turn it off.

        Raises:
            NotFound: It is not on.
            ValidationFailed: The password or the code is wrong, naming the field.
            Forbidden, RateLimited: As `SignIns.confirmed`.
        """
        await self._shown(caller, password, code, address)
        async with self._database.transaction():
            await self._drop(caller.user_id)
            await self._audit.record(
                "second_factor.removed", organization_id=caller.organization_id, caller=caller, subject=caller.user_id
            )

    async def drop(self, email: str) -> None:
        """
        The host's last resort for somebody who has lost authenticator and recovery codes.

        Raises:
            NotFound: There is no such user.
        """
        user = await UserRow.get_or_none(email=email.strip().lower())
        if user is None:
            raise NotFound("No user with this e-mail address.", details={"email": email[:255]})
        async with self._database.transaction():
            await self._drop(user.id)
            await self._audit.record("second_factor.removed", organization_id=user.organization_id, subject=user.id)

    async def _shown(self, caller: Caller, password: str, code: str, address: str) -> None:
        await self._sign_ins.confirmed(caller, password, address)
        if not await self._codes.needed(caller.user_id):
            raise NotFound("No second factor is on.")
        try:
            await self._codes.checked(caller.user_id, code)
        except SecondFactorRequired as error:
            raise ValidationFailed.field("code", "is wrong, or was used before") from error

    async def _drop(self, user_id: str) -> None:
        if await SecondFactorRow.filter(user_id=user_id).delete():
            await self._tell(user_id, Notice.SECOND_FACTOR_REMOVED)
        await RecoveryCodeRow.filter(user_id=user_id).delete()

    async def _tell(self, user_id: str, notice: Notice) -> None:
        await self._notices.tell(await UserRow.get(id=user_id), notice)


def _picture(uri: str) -> str:
    """The QR code as an SVG document; dark on white whatever the page's colours are, since cameras want it so."""
    picture = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(picture, kind="svg", scale=4, border=4, dark="#000", light="#fff")
    return picture.getvalue().decode()
