"""
A certificate of the appliance's own making, for a network where nobody else makes them.

It lies in the data directory and is made anew when it is about to end or a name is missing. Browsers do not know it:
whoever opens the address compares the fingerprint once.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from qstore_appliance.errors import ConfigurationInvalid
from qstore_appliance.settings import Settings

if TYPE_CHECKING:
    from cryptography import x509

#: What browsers accept at the most, and how long before its end it is replaced.
LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)


def ensure(settings: Settings) -> str:
    """
    The fingerprint (SHA-256) of the certificate in the data directory, which is made where there is no good one.

    Raises:
        ConfigurationInvalid: The data directory cannot be written to.
    """
    certificate, key = Path(settings.server.tls_certificate), Path(settings.server.tls_key)
    names = _names(settings)
    try:
        found = _fingerprint(certificate, names) if key.is_file() else None
        return found or _make(certificate, key, names)
    except OSError as error:
        raise ConfigurationInvalid(f"{certificate.parent}: {error.strerror}") from error


def _names(settings: Settings) -> list[str]:
    """Everything that somebody may open, without ports; what is no name is left out."""
    from qstore_appliance.api.middleware import configured_hosts, machine_names

    known = {"localhost", "127.0.0.1", "::1", *configured_hosts(settings), *machine_names()}
    if not settings.server.host.strip("0.:"):
        known |= _own_addresses()
    return sorted(name for name in known if name and len(name) <= 253 and name.isascii())


def _own_addresses() -> set[str]:
    with contextlib.suppress(OSError):
        return {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(socket.gethostname(), None)}
    return set()


def _fingerprint(file: Path, names: list[str]) -> str | None:
    """Of a certificate that is good for these names for a while; None where there is none."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return None
    covered = {str(one.value) for one in alternatives}
    if found.not_valid_after_utc - RENEW_BEFORE < datetime.now(UTC) or not set(names) <= covered:
        return None
    return _spoken(found)


def _make(certificate: Path, key: Path, names: list[str]) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Q-Store Appliance")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem, private_pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    _write(key, private.private_bytes(pem, private_pem, serialization.NoEncryption()))
    _write(certificate, made.public_bytes(pem))
    return _spoken(made)


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, and for nobody else to read."""
    unfinished = file.with_name(file.name + ".part")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as writing:
        writing.write(content)
        writing.flush()
        os.fsync(writing.fileno())
    unfinished.replace(file)


def _spoken(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
