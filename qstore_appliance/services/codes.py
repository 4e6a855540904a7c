"""
Codes of second factors: six digits that change each half minute (RFC 6238), and recovery codes.

Every code works once. A code of the half minutes beside the present one is taken too, for clocks that differ.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import pyotp

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.sign_in import RecoveryCodeRow, SecondFactorRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sessions import Method
from qstore_appliance.errors import SecondFactorRequired
from qstore_appliance.services.failures import Failures
from qstore_appliance.services.seals import Seal

STEP_SECONDS = 30
#: Of the six-digit codes of one user in an hour, wherever they are sent from: whoever may try them knows the password.
WRONG_CODES, WRONG_WINDOW = 10, 3_600.0
RECOVERY_CODES = 10
_WRONG = "This code is wrong, or was used before."
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


class Codes:
    """
    Args:
        secret: The installation's: what authenticators share with us is sealed with it.
    """

    def __init__(self, database: Database, clock: Clock, secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._seal = Seal(secret, "second factors", clock)
        self._failures = Failures(WRONG_CODES, WRONG_WINDOW, "Too many wrong codes. A recovery code still works.")

    async def needed(self, user_id: str) -> bool:
        return await SecondFactorRow.filter(user_id=user_id, confirmed_at__isnull=False).exists()

    async def checked(self, user_id: str, code: str) -> Method:
        """
        Spend a code of a user whose second factor is on.

        Raises:
            SecondFactorRequired: It is wrong, or was used before.
            RateLimited: Too many wrong ones.
        """
        code = re.sub(r"[\s-]", "", code).lower()
        if re.fullmatch(r"[0-9]{6}", code) is None:
            if not await self._spend_recovery(user_id, code):
                raise SecondFactorRequired(_WRONG, details={"code": "wrong"})
            return Method.RECOVERY_CODE
        attempt = self._failures.attempt(user_id, "")
        row = await SecondFactorRow.get_or_none(user_id=user_id, confirmed_at__isnull=False)
        if row is None or not await self.spend(row, code):
            raise SecondFactorRequired(_WRONG, details={"code": "wrong"})
        attempt.forgive()
        return Method.AUTHENTICATOR

    async def spend(self, row: SecondFactorRow, code: str) -> bool:
        """Whether this is a code of now that nobody has used, nor a later one."""
        step = self._step(row, re.sub(r"[\s-]", "", code))
        if step is None:
            return False
        async with self._database.transaction():
            return bool(await SecondFactorRow.filter(id=row.id, last_step__lt=step).update(last_step=step))

    def new_secret(self) -> tuple[str, str]:
        """160 bits in base 32, as authenticators take them, and as the database keeps them."""
        secret = pyotp.random_base32()
        return secret, self._seal.close(secret.encode())

    async def new_recovery_codes(self, user_id: str) -> list[str]:
        """Inside a transaction: replaces the ones before. 80 bits each, so that a plain digest is enough."""
        codes = [
            "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
            for _ in range(RECOVERY_CODES)
        ]
        await RecoveryCodeRow.filter(user_id=user_id).delete()
        await RecoveryCodeRow.bulk_create(
            RecoveryCodeRow(id=ids.new("recovery"), user_id=user_id, code_hash=_digest(code.replace("-", "")))
            for code in codes
        )
        return codes

    def _step(self, row: SecondFactorRow, code: str) -> int | None:
        opened = self._seal.open(row.secret)
        if opened is None:
            # Sealed with a secret that this installation had before.
            return None
        totp = pyotp.TOTP(opened.decode())
        now = int(self._clock.now().timestamp()) // STEP_SECONDS
        found = None
        for step in (now - 1, now, now + 1):
            # All three, always: how long it takes says nothing.
            if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "surrogatepass")):
                found = step
        return found

    async def _spend_recovery(self, user_id: str, code: str) -> bool:
        unused = RecoveryCodeRow.filter(user_id=user_id, code_hash=_digest(code), used_at=None)
        async with self._database.transaction():
            return bool(await unused.update(used_at=self._clock.now()))


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
