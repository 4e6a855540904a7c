"""
The error family: a stable code, a sentence, details. Bottom of everything.

A class's docstring is its default message. `code` never changes once released; the API maps codes to statuses in one
place (`api/faults.py`), the command line maps some of them to exit codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class QStoreError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str | None = None, *, details: Mapping[str, Any] | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details: dict[str, Any] = dict(details or {})
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Children send their errors through a pipe; keyword-only arguments need a hand.
        return (_rebuild, (type(self), self.message, self.details, dict(self.__dict__)))


def _rebuild(
    kind: type[QStoreError], message: str, details: Mapping[str, Any], attributes: Mapping[str, Any]
) -> QStoreError:
    error = kind.__new__(kind)
    QStoreError.__init__(error, message, details=details)
    error.__dict__.update(attributes)
    return error


class Malformed(QStoreError):
    """The request cannot be read."""

    code = "MALFORMED"


class Unauthenticated(QStoreError):
    """Sign in first: the credentials are missing, wrong or expired."""

    code = "UNAUTHENTICATED"


class SecondFactorRequired(Unauthenticated):
    """A code of your authenticator is needed too."""

    code = "SECOND_FACTOR_REQUIRED"


class Forbidden(QStoreError):
    """You may not do this."""

    code = "FORBIDDEN"


class HardwareForbidden(Forbidden):
    """This may not use quantum hardware: the organization has not enabled it, or the API key is for tests."""

    code = "HARDWARE_FORBIDDEN"


class BudgetExceeded(QStoreError):
    """The budget does not allow this."""

    code = "BUDGET_EXCEEDED"


class NotFound(QStoreError):
    """There is no such thing here."""

    code = "NOT_FOUND"

    @classmethod
    def of(cls, noun: str, id: str) -> NotFound:
        """The same words for what is absent and for what belongs to another organization."""
        return cls(f"No {noun} with this id.", details={"id": id[:64]})


class MethodNotAllowed(QStoreError):
    """This address does not take that method."""

    code = "METHOD_NOT_ALLOWED"


class Gone(QStoreError):
    """This was here and is not any more."""

    code = "GONE"


class Conflict(QStoreError):
    """This contradicts the present state."""

    code = "CONFLICT"

    def __init__(
        self, message: str | None = None, *, details: Mapping[str, Any] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class ArtifactCorrupt(Conflict):
    """The stored bytes do not match their digest."""

    code = "ARTIFACT_CORRUPT"


class SignatureInvalid(Conflict):
    """The signature is not of this content, or not of the key that it names."""

    code = "SIGNATURE_INVALID"


class SignerUnknown(Conflict):
    """This is signed by a key that this installation does not know."""

    code = "SIGNER_UNKNOWN"


class LastOwner(Conflict):
    """An organization always has an owner who can act: make somebody else one first."""

    code = "LAST_OWNER"


class PreconditionFailed(QStoreError):
    """It has changed since you read it."""

    code = "PRECONDITION_FAILED"


class TooLarge(QStoreError):
    """This is larger than the limit."""

    code = "TOO_LARGE"


class UnsupportedMediaType(QStoreError):
    """This content type is not taken here."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class WrongHost(QStoreError):
    """This server does not answer to that host name."""

    code = "WRONG_HOST"


class ValidationFailed(QStoreError):
    """The request is not valid."""

    code = "VALIDATION_ERROR"

    @classmethod
    def of(cls, errors: Sequence[tuple[str, str]]) -> ValidationFailed:
        """Args: errors: pairs of (field path such as `gates[3].targets`, sentence)."""
        rows = [{"field": field, "message": message} for field, message in errors]
        first = rows[0]
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        return cls(f"{first['field']}: {first['message']}{more}", details={"errors": rows})

    @classmethod
    def field(cls, field: str, message: str) -> ValidationFailed:
        return cls.of([(field, message)])


class InvalidCircuit(QStoreError):
    """The circuit is not valid."""

    code = "INVALID_CIRCUIT"

    @classmethod
    def at(cls, index: int, gate: str, message: str) -> InvalidCircuit:
        """A fault of one gate: its position in the list (from 0) and its name as it was written."""
        return cls(f"Gate {index} ({gate[:40]}): {message}", details={"gate": gate[:40], "index": index})


class InsufficientMemory(QStoreError):
    """This does not fit into the machine's memory."""

    code = "INSUFFICIENT_MEMORY"


class BackendCannot(QStoreError):
    """The backend cannot do this."""

    code = "BACKEND_CANNOT"


class DatasetMissing(QStoreError):
    """The data set is not on this machine."""

    code = "DATASET_MISSING"


class WebhookForbidden(QStoreError):
    """Webhooks may not be sent to that address."""

    code = "WEBHOOK_FORBIDDEN"


class RateLimited(QStoreError):
    """Too many requests."""

    code = "RATE_LIMITED"

    def __init__(
        self, message: str | None = None, *, details: Mapping[str, Any] | None = None, retry_after: float = 1.0
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class Unavailable(QStoreError):
    """Not available right now."""

    code = "UNAVAILABLE"

    def __init__(
        self, message: str | None = None, *, details: Mapping[str, Any] | None = None, retry_after: float = 1.0
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class BackendUnavailable(Unavailable):
    """The backend is not available."""

    code = "BACKEND_UNAVAILABLE"


class BackendBadResponse(QStoreError):
    """The backend answered something that makes no sense."""

    code = "BACKEND_BAD_RESPONSE"


class NoCapacity(Unavailable):
    """Every replica is busy."""

    code = "NO_CAPACITY"


class DeadlineExceeded(QStoreError):
    """It took too long and was stopped."""

    code = "DEADLINE"


class StorageFull(QStoreError):
    """The disk is full."""

    code = "STORAGE_FULL"


class Diverged(QStoreError):
    """The loss is not a finite number any more."""

    code = "DIVERGED"


class WorkerCrash(QStoreError):
    """The worker process died."""

    code = "WORKER_CRASH"


class WorkerOutOfMemory(QStoreError):
    """The worker process ran out of memory."""

    code = "WORKER_OOM"


class Cancelled(QStoreError):
    """Cancelled on request."""

    code = "CANCELLED"


class ConfigurationInvalid(QStoreError):
    """The configuration is not valid."""

    code = "CONFIGURATION"


class DataDirectoryInUse(QStoreError):
    """Another server uses this data directory."""

    code = "DATA_DIRECTORY_IN_USE"


class Refused(QStoreError):
    """Refused."""

    code = "REFUSED"


def family() -> dict[str, type[QStoreError]]:
    """Every code of the family with its class; the documents' list and `api/faults.py` are checked against it."""
    found: dict[str, type[QStoreError]] = {}
    waiting: list[type[QStoreError]] = [QStoreError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting.extend(kind.__subclasses__())
    return dict(sorted(found.items()))
