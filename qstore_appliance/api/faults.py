"""
From an error to an answer, in this one place.

A cause that is not of the error family is logged with the request's id and answered as INTERNAL, without a word of it.
"""

from __future__ import annotations

import errno
import math

import structlog
from sanic import Request
from sanic.exceptions import BadRequest, MethodNotAllowed, NotFound, PayloadTooLarge, SanicException, ServiceUnavailable
from sanic.response import HTTPResponse

from qstore_appliance import errors
from qstore_appliance.api import envelope
from qstore_appliance.api.registry import endpoint_of
from qstore_appliance.errors import QStoreError

log = structlog.get_logger(__name__)

#: The code of an error → the status of its answer.
STATUSES: dict[str, int] = {
    "MALFORMED": 400,
    "SECOND_FACTOR_REQUIRED": 401,
    "UNAUTHENTICATED": 401,
    "BUDGET_EXCEEDED": 402,
    "FORBIDDEN": 403,
    "HARDWARE_FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "ARTIFACT_CORRUPT": 409,
    "CANCELLED": 409,
    "CONFLICT": 409,
    "LAST_OWNER": 409,
    "REFUSED": 409,
    "SIGNATURE_INVALID": 409,
    "SIGNER_UNKNOWN": 409,
    "GONE": 410,
    "PRECONDITION_FAILED": 412,
    "TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WRONG_HOST": 421,
    "BACKEND_CANNOT": 422,
    "DATASET_MISSING": 422,
    "DIVERGED": 422,
    "INSUFFICIENT_MEMORY": 422,
    "INVALID_CIRCUIT": 422,
    "VALIDATION_ERROR": 422,
    "WEBHOOK_FORBIDDEN": 422,
    "RATE_LIMITED": 429,
    "CONFIGURATION": 500,
    "DATA_DIRECTORY_IN_USE": 500,
    "INTERNAL": 500,
    "WORKER_CRASH": 500,
    "WORKER_OOM": 500,
    "BACKEND_BAD_RESPONSE": 502,
    "BACKEND_UNAVAILABLE": 503,
    "NO_CAPACITY": 503,
    "UNAVAILABLE": 503,
    "DEADLINE": 504,
    "STORAGE_FULL": 507,
}

#: A file that could not be written, wherever it was about to be.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def translated(exception: BaseException) -> QStoreError:
    """The error of the family that an exception stands for; `QStoreError` itself when it stands for none."""
    match exception:
        # One without a code of its own is a fault of ours that another process told us of, cause and all.
        case QStoreError() if exception.code != QStoreError.code:
            return exception
        case NotFound():
            return errors.NotFound("There is nothing at this address.")
        case MethodNotAllowed():
            return errors.MethodNotAllowed()
        case PayloadTooLarge():
            return errors.TooLarge("The request is larger than this address takes.")
        case ServiceUnavailable():
            return errors.Unavailable("The server was too busy to answer in time.")
        case BadRequest():
            return errors.Malformed()
        case OSError() if exception.errno in FULL:
            return errors.StorageFull()
        case SanicException() if 400 <= exception.status_code < 500:
            return errors.Malformed()
    return QStoreError("Something went wrong here. The server's log has the cause under this request's id.")


def status_of(error: QStoreError) -> int:
    return STATUSES.get(error.code, 500)


def answer(request: Request, exception: BaseException) -> HTTPResponse:
    """The answer to a request that ended in an exception; Sanic calls this for every one."""
    error = translated(exception)
    status = status_of(error)
    if error.code == "INTERNAL":
        log.error(
            "request.failed",
            request_id=envelope.request_id(request),
            method=request.method,
            path=request.path,
            exc_info=exception,
        )
    elif status >= 500:
        log.warning("request.refused", request_id=envelope.request_id(request), code=error.code, message=error.message)
    endpoint = endpoint_of(request)
    response = (endpoint.failure if endpoint else envelope.failure)(request, error, status)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if response.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="qstore"'
    if isinstance(exception, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(_allowed(request, exception)))
    return response


def _allowed(request: Request, exception: MethodNotAllowed) -> set[str]:
    """Sanic knows the methods of a page; of addresses with an id in them it forgets all but one, or all."""
    here = [endpoint for endpoint in request.app.ctx.endpoints if endpoint.is_at(request.path)]
    # `/v1/jobs/estimate` is itself before it is some `/v1/jobs/{id}`.
    declared = {e.method for e in here if e.path == request.path} or {e.method for e in here}
    if "GET" in declared:
        declared.add("HEAD")
    return declared or set(exception.headers.get("Allow", "").split(", "))
