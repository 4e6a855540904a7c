"""
Whose signature it is: Ed25519 (RFC 8032), one key for each installation, made when it is needed first.

Keys are compared by their fingerprints, the SHA-256 of the 32 bytes. There is no authority: a laboratory gives its public
key to another on paper or on a stick, and the other's operator puts it into `trusted-keys/` of the data directory.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from qstore_appliance.domain.capsules import Signer, Standing

log = structlog.get_logger(__name__)

ALGORITHM = "Ed25519"
#: How a public key is written into a file: this word, and the 32 bytes in base 64.
PREFIX = "ed25519"
KEY_BYTES, SIGNATURE_BYTES = 32, 64
#: Files among the trusted keys that are looked at, and bytes of each.
MAX_TRUSTED, MAX_FILE = 1_000, 4_096


class Signatures:
    """
    Args:
        seed: Reads the installation's 32 secret bytes, or makes them; called when they are needed first.
        trusted: The folder of the keys that the operator trusts, one a file `NAME.pub`.
    """

    def __init__(self, seed: Callable[[], bytes], trusted: Path) -> None:
        self._seed = seed
        self._trusted = trusted
        self._made: Ed25519PrivateKey | None = None
        # Two threads that need it first at the same time: one of them makes it.
        self._making = threading.Lock()

    @property
    def _key(self) -> Ed25519PrivateKey:
        with self._making:
            if self._made is None:
                self._made = Ed25519PrivateKey.from_private_bytes(self._seed()[:KEY_BYTES])
            return self._made

    @property
    def own(self) -> Signer:
        """This installation's."""
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Signer(fingerprint=fingerprint(public), public_key=_text(public), standing=Standing.OWN)

    def sign(self, content: bytes) -> dict[str, str]:
        """`algorithm`, `public_key` and `signature`."""
        signature = self._key.sign(content)
        return {"algorithm": ALGORITHM, "public_key": self.own.public_key, "signature": _text(signature)}

    def verified(self, content: bytes, public_key: object, signature: object) -> Signer | None:
        """Who signed it; None where this is no signature of that key."""
        public, signed = _bytes(public_key, KEY_BYTES), _bytes(signature, SIGNATURE_BYTES)
        if public is None or signed is None:
            return None
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signed, content)
        except (InvalidSignature, ValueError):
            return None
        return self._known(public)

    def _known(self, public: bytes) -> Signer:
        mark, text = fingerprint(public), _text(public)
        if text == self.own.public_key:
            return self.own
        name = self._trusted_keys().get(mark)
        standing = Standing.UNKNOWN if name is None else Standing.TRUSTED
        return Signer(fingerprint=mark, public_key=text, standing=standing, name=name)

    def _trusted_keys(self) -> dict[str, str]:
        """Fingerprint → name. A file that holds no key is told to the log and trusts nobody."""
        found: dict[str, str] = {}
        for path in sorted(self._trusted.glob("*.pub"))[:MAX_TRUSTED]:
            try:
                with path.open("rb") as file:
                    words = file.read(MAX_FILE).decode().split()
            except (OSError, UnicodeDecodeError):
                words = []
            public = _bytes(words[1], KEY_BYTES) if len(words) >= 2 and words[0] == PREFIX else None
            if public is None:
                log.warning("signatures.no_key", file=path.name)
            else:
                found[fingerprint(public)] = path.stem
        return found


def fingerprint(public: bytes) -> str:
    """As OpenSSH writes them: `SHA256:` and the digest in base 64 without its padding."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip('=')}"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: object, length: int) -> bytes | None:
    try:
        found = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == length else None
