"""
What can go wrong, by the server's stable codes.

`except NotFound` is `error.code == "NOT_FOUND"`. A code that this client does not know yet is an `APIError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class QStoreError(Exception):
    """Something went wrong."""


class ConnectionFailed(QStoreError):
    """The server could not be reached, as often as it was tried."""


class UnexpectedAnswer(QStoreError):
    """What answered is no Q-Store server, or one that is older than this client."""


class APIError(QStoreError):
    """
    The server refused.

    Attributes:
        code: Stable, such as `NOT_FOUND`.
        message: For people.
        details: What the code has: `errors` of `VALIDATION_ERROR`, `limit` of `BUDGET_EXCEEDED` and so on.
        status: Of HTTP; None where it came over a live channel.
        request_id: As it stands in the server's log.
        retry_after: Seconds, where the server says when to come back.
    """

    #: Of the class; an instance has the one that the server sent.
    CODE: ClassVar[str] = ""

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(f"{code}: {message}")


class Malformed(APIError):
    """The request could not be read."""

    CODE = "MALFORMED"


class Unauthenticated(APIError):
    """The credentials are missing, wrong, expired or revoked."""

    CODE = "UNAUTHENTICATED"


class SecondFactorRequired(Unauthenticated):
    """Signing in takes a code beside the password."""

    CODE = "SECOND_FACTOR_REQUIRED"


class Forbidden(APIError):
    """You may not do this; `details["permission"]` is what it needs."""

    CODE = "FORBIDDEN"


class HardwareForbidden(Forbidden):
    """No quantum hardware: the organization has not enabled it, or this API key is for tests."""

    CODE = "HARDWARE_FORBIDDEN"


class BudgetExceeded(APIError):
    """The budget does not allow it; `details` has `limit`, `spent`, `reserved` and `needed` in dollars."""

    CODE = "BUDGET_EXCEEDED"


class NotFound(APIError):
    """There is no such thing, at least not in your organization."""

    CODE = "NOT_FOUND"


class MethodNotAllowed(APIError):
    """The address does not take that method."""

    CODE = "METHOD_NOT_ALLOWED"


class Gone(APIError):
    """It was there and is not any more, such as a retired model."""

    CODE = "GONE"


class Conflict(APIError):
    """It contradicts the present state. With `details["done"]` a repeated request had been done already, once."""

    CODE = "CONFLICT"


class ArtifactCorrupt(Conflict):
    """Stored bytes do not match their digest."""

    CODE = "ARTIFACT_CORRUPT"


class SignatureInvalid(Conflict):
    """The signature is not of this content, or not of the key that it names."""

    CODE = "SIGNATURE_INVALID"


class SignerUnknown(Conflict):
    """This is signed by a key that the installation does not know; `details` have its fingerprint."""

    CODE = "SIGNER_UNKNOWN"


class LastOwner(Conflict):
    """An organization always has an owner who can act: make somebody else one first."""

    CODE = "LAST_OWNER"


class PreconditionFailed(APIError):
    """It has changed since you read it."""

    CODE = "PRECONDITION_FAILED"


class TooLarge(APIError):
    """It is larger than the limit."""

    CODE = "TOO_LARGE"


class UnsupportedMediaType(APIError):
    """This content type is not taken there."""

    CODE = "UNSUPPORTED_MEDIA_TYPE"


class WrongHost(APIError):
    """The server does not answer to that host name."""

    CODE = "WRONG_HOST"


class ValidationFailed(APIError):
    """A field is wrong; `errors` names each with a message."""

    CODE = "VALIDATION_ERROR"

    @property
    def errors(self) -> list[dict[str, str]]:
        return list(self.details.get("errors", []))


class InvalidCircuit(APIError):
    """A gate is wrong; `details` has `gate` and `index`, of a text `line` and `column`."""

    CODE = "INVALID_CIRCUIT"


class InsufficientMemory(APIError):
    """It does not fit into the machine's memory."""

    CODE = "INSUFFICIENT_MEMORY"


class BackendCannot(APIError):
    """The backend cannot do that, on any machine."""

    CODE = "BACKEND_CANNOT"


class DatasetMissing(APIError):
    """A known data set that nobody has imported; `details["command"]` brings it."""

    CODE = "DATASET_MISSING"


class WebhookForbidden(APIError):
    """Webhooks may not be sent to that address."""

    CODE = "WEBHOOK_FORBIDDEN"


class RateLimited(APIError):
    """Too many requests, for longer than this client waits."""

    CODE = "RATE_LIMITED"


class Unavailable(APIError):
    """The server, or a part of it, does not answer now."""

    CODE = "UNAVAILABLE"


class BackendUnavailable(Unavailable):
    """The backend does not work now."""

    CODE = "BACKEND_UNAVAILABLE"


class NoCapacity(Unavailable):
    """The machine has no room for it now."""

    CODE = "NO_CAPACITY"


class DeadlineExceeded(APIError):
    """It took longer than it may."""

    CODE = "DEADLINE"


class StorageFull(APIError):
    """The server's disk is full."""

    CODE = "STORAGE_FULL"


class BackendBadResponse(APIError):
    """A backend answered nonsense."""

    CODE = "BACKEND_BAD_RESPONSE"


class WorkerCrash(APIError):
    """The process that computed died."""

    CODE = "WORKER_CRASH"


class WorkerOutOfMemory(APIError):
    """The process that computed ran out of memory."""

    CODE = "WORKER_OOM"


class Diverged(APIError):
    """The training produced numbers that are none."""

    CODE = "DIVERGED"


class Cancelled(APIError):
    """It was cancelled."""

    CODE = "CANCELLED"


class Internal(APIError):
    """A fault of the server; its log has more under the request's id."""

    CODE = "INTERNAL"


class JobFailed(QStoreError):
    """A job that was waited for did not complete; `job` says how it ended."""

    def __init__(self, job: Any) -> None:
        self.job = job
        self.code: str | None = job.error_code
        super().__init__(f"Job {job.id} {job.status}" + (f": {job.reason}" if job.reason else "."))


def _family(kind: type[APIError]) -> dict[str, type[APIError]]:
    found = {kind.CODE: kind} if kind.CODE else {}
    for one in kind.__subclasses__():
        found |= _family(one)
    return found


#: Code → class.
BY_CODE: dict[str, type[APIError]] = _family(APIError)


def api_error(
    fault: Mapping[str, Any],
    *,
    status: int | None = None,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> APIError:
    """The error behind an answer's `error`, of the class that its code names."""
    code = str(fault.get("code", "INTERNAL"))
    return BY_CODE.get(code, APIError)(
        code,
        str(fault.get("message", "")),
        fault.get("details") or {},
        status=status,
        request_id=request_id,
        retry_after=retry_after,
    )
