"""Keys for each purpose from the installation's one secret, so that no two uses of it ever meet."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qstore_appliance.domain.ports import Clock


def derived(secret: bytes, purpose: str) -> bytes:
    """32 bytes that say nothing of the secret, nor of another purpose's (RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"qstore {purpose}".encode()).derive(secret)


class Seal:
    """Encrypts and authenticates what has to come back: who steals the database alone can neither read nor forge it."""

    def __init__(self, secret: bytes, purpose: str, clock: Clock) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(derived(secret, purpose)))
        self._clock = clock

    def close(self, content: bytes) -> str:
        return self._fernet.encrypt_at_time(content, self._now()).decode()

    def open(self, sealed: str, seconds: int | None = None) -> bytes | None:
        """The content; None where it is not ours, was changed, or was sealed more than so many seconds ago."""
        try:
            if seconds is None:
                return self._fernet.decrypt(sealed.encode("ascii", "replace"))
            return self._fernet.decrypt_at_time(sealed.encode("ascii", "replace"), seconds, self._now())
        except InvalidToken:
            return None

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


class Stamp:
    """Turns an id into a secret that nobody else can compute, and knows it again. Nothing of it is stored."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._key = derived(secret, purpose)

    def on(self, id: str) -> str:
        """The id with 256 bits behind it."""
        return f"{id}.{self._of(id)}"

    def id_of(self, stamped: str) -> str | None:
        id, _, stamp = stamped.partition(".")
        right = hmac.compare_digest(self._of(id).encode(), stamp.encode("utf-8", "surrogatepass"))
        return id if right else None

    def _of(self, id: str) -> str:
        mac = hmac.digest(self._key, id.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")
