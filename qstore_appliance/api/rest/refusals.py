"""
Which codes each route may answer: the general ones follow from its declaration, the particular ones stand here.

`/openapi.json` is written from this, and every answer that the tests of the API get is held against it.
"""

from __future__ import annotations

from collections import defaultdict

from qstore_appliance.api.envelope import failure
from qstore_appliance.api.faults import STATUSES
from qstore_appliance.api.registry import PUBLIC, Endpoint

#: Whoever asks for anything.
EVERYWHERE = ("MALFORMED", "WRONG_HOST", "RATE_LIMITED", "INTERNAL", "UNAVAILABLE")

_TRAINING = (
    "ARTIFACT_CORRUPT", "BACKEND_CANNOT", "BACKEND_UNAVAILABLE", "BUDGET_EXCEEDED", "DATASET_MISSING", "DEADLINE",
    "HARDWARE_FORBIDDEN", "INSUFFICIENT_MEMORY", "INVALID_CIRCUIT", "NOT_FOUND", "WORKER_CRASH", "WORKER_OOM",
)  # fmt: skip
#: What runs in a process of the engine.
_ENGINE = ("DEADLINE", "WORKER_CRASH", "WORKER_OOM")
_DATA = ("ARTIFACT_CORRUPT", "DATASET_MISSING", "DEADLINE", "WORKER_CRASH", "WORKER_OOM")
_IONQ_JOB = (
    "BACKEND_CANNOT", "BACKEND_UNAVAILABLE", "BUDGET_EXCEEDED", "INSUFFICIENT_MEMORY", "INVALID_CIRCUIT", "NOT_FOUND",
)  # fmt: skip

#: Route → codes beyond those that its declaration implies.
PARTICULAR: dict[str, tuple[str, ...]] = {
    "POST /v1/auth/token": ("SECOND_FACTOR_REQUIRED", "STORAGE_FULL", "UNAUTHENTICATED"),
    "POST /v1/auth/password-reset": ("REFUSED", "STORAGE_FULL"),
    "POST /v1/auth/password-reset/confirm": ("GONE", "STORAGE_FULL"),
    "POST /v1/users/me/second-factor/confirm": ("NOT_FOUND",),
    "POST /v1/users/me/second-factor/recovery-codes": ("NOT_FOUND",),
    "POST /v1/users/me/second-factor/remove": ("NOT_FOUND",),
    "PATCH /v1/users/{id}": ("CONFLICT", "LAST_OWNER"),
    "DELETE /v1/users/{id}": ("LAST_OWNER",),
    "POST /v1/organization/transfer": ("NOT_FOUND",),
    "POST /v1/auth/switch": ("NOT_FOUND",),
    "PATCH /v1/roles/{name}": ("CONFLICT",),
    "DELETE /v1/roles/{name}": ("CONFLICT",),
    "POST /v1/invitations/offer": ("GONE", "STORAGE_FULL"),
    "POST /v1/invitations/accept": (
        "CONFLICT", "GONE", "SECOND_FACTOR_REQUIRED", "STORAGE_FULL", "UNAUTHENTICATED",
    ),
    "POST /v1/invitations/join": ("GONE",),
    "POST /v1/circuits": ("INVALID_CIRCUIT",),
    "POST /v1/circuits/import": ("INVALID_CIRCUIT", *_ENGINE),
    "POST /v1/circuits/{id}/run": (
        "BACKEND_BAD_RESPONSE", "BACKEND_CANNOT", "BACKEND_UNAVAILABLE", "BUDGET_EXCEEDED",
        "HARDWARE_FORBIDDEN", "INSUFFICIENT_MEMORY", "INVALID_CIRCUIT", *_ENGINE,
    ),
    "POST /v1/circuits/{id}/optimize": ("INVALID_CIRCUIT", *_ENGINE),
    "POST /v1/circuits/compare": ("INVALID_CIRCUIT", "NOT_FOUND", *_ENGINE),
    "GET /v1/circuits/{id}": ("INVALID_CIRCUIT", *_ENGINE),
    "GET /v1/circuits/{id}/drawing": _ENGINE,
    "GET /v1/events": ("NOT_FOUND",),
    "GET /v1/circuits/{id}/diff": _ENGINE,
    "PATCH /v1/circuits/{id}": ("INVALID_CIRCUIT", "PRECONDITION_FAILED"),
    "DELETE /v1/circuits/{id}": ("CONFLICT", "PRECONDITION_FAILED"),
    "POST /v1/datasets": _DATA,
    "GET /v1/datasets/{id}": ("DATASET_MISSING",),
    "GET /v1/datasets/{id}/statistics": (*_DATA, "VALIDATION_ERROR"),
    "DELETE /v1/datasets/{id}": ("CONFLICT", "DATASET_MISSING"),
    "POST /v1/jobs": _TRAINING,
    "POST /v1/jobs/estimate": _TRAINING,
    "POST /v1/jobs/{id}/continue": _TRAINING,
    "POST /v1/jobs/{id}/replay": _TRAINING,
    "POST /v1/jobs/{id}/resume": ("HARDWARE_FORBIDDEN",),
    "POST /v1/jobs/{id}/top-up": ("BUDGET_EXCEEDED", "HARDWARE_FORBIDDEN"),
    "POST /v1/sweeps": _TRAINING,
    "PATCH /v1/models/{id}": ("CONFLICT",),
    "DELETE /v1/models/{id}": ("CONFLICT",),
    "POST /v1/models/compare": ("NOT_FOUND",),
    "POST /v1/models/{id}/promote": ("GONE",),
    "GET /v1/models/{id}/export": ("ARTIFACT_CORRUPT", *_ENGINE),
    "POST /v1/models/verify": ("ARTIFACT_CORRUPT", "SIGNATURE_INVALID", *_ENGINE),
    "POST /v1/models/import": (
        "ARTIFACT_CORRUPT", "INVALID_CIRCUIT", "SIGNATURE_INVALID", "SIGNER_UNKNOWN", *_ENGINE,
    ),
    "POST /v1/models/{id}/deploy": (
        "ARTIFACT_CORRUPT", "BACKEND_CANNOT", "BACKEND_UNAVAILABLE", "GONE", "HARDWARE_FORBIDDEN",
        "INSUFFICIENT_MEMORY", "NO_CAPACITY",
    ),
    "POST /v1/models/{id}/predict": (
        "BACKEND_BAD_RESPONSE", "BACKEND_CANNOT", "BACKEND_UNAVAILABLE", "BUDGET_EXCEEDED", "DEADLINE", "GONE",
        "HARDWARE_FORBIDDEN", "NO_CAPACITY", "WORKER_CRASH", "WORKER_OOM",
    ),
    "PUT /v1/budget": ("WEBHOOK_FORBIDDEN",),
    "POST /v1/budget/alerts/test": ("WEBHOOK_FORBIDDEN",),
    "GET /datasets/{id}": ("DATASET_MISSING",),
    "DELETE /datasets/{id}": ("CONFLICT", "DATASET_MISSING"),
    "GET /datasets/{id}/download": (*_DATA, "TOO_LARGE", "VALIDATION_ERROR"),
    "GET /datasets/{id}/statistics": (*_DATA, "VALIDATION_ERROR"),
    "POST /datasets/huggingface/import": ("DATASET_MISSING",),
    "POST /datasets/augmentation/pipeline": ("DATASET_MISSING", "NOT_FOUND"),
    "POST /v0.4/jobs": _IONQ_JOB,
    "GET /v0.4/jobs/estimate": _IONQ_JOB,
    "DELETE /v0.4/jobs/{uuid}": ("CONFLICT",),
    "PUT /v0.4/jobs/{uuid}/status/cancel": ("CONFLICT",),
    "GET /v0.4/jobs/{uuid}/cost": ("CONFLICT",),
    "GET /v0.4/jobs/{uuid}/results/probabilities": ("CONFLICT",),
    "GET /v0.4/jobs/{uuid}/results/probabilities/aggregated": ("CONFLICT",),
}  # fmt: skip


def route(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def refusals(endpoint: Endpoint) -> dict[int, list[str]]:
    """By status, the codes that a route may answer."""
    codes = {*EVERYWHERE, *PARTICULAR.get(route(endpoint), ())}
    if endpoint.permission != PUBLIC:
        # 403 also to a cookie that does not come from our own pages.
        # And a full disk shows wherever something is noted, if only that a key was used.
        codes |= {"UNAUTHENTICATED", "FORBIDDEN", "STORAGE_FULL"}
    if "{" in endpoint.path:
        codes |= {"NOT_FOUND"}
    if endpoint.query or endpoint.body or endpoint.form or endpoint.method == "POST":
        codes |= {"VALIDATION_ERROR"}
    if endpoint.method != "GET":
        codes |= {"TOO_LARGE"}
    if endpoint.body or endpoint.form:
        codes |= {"UNSUPPORTED_MEDIA_TYPE"}
    if endpoint.method == "POST" and endpoint.permission != PUBLIC:
        # An Idempotency-Key that is in use.
        codes |= {"CONFLICT"}
    found: dict[int, list[str]] = defaultdict(list)
    for code in sorted(codes):
        for status in statuses(endpoint, code):
            found[status].append(code)
    return dict(sorted(found.items()))


def statuses(endpoint: Endpoint, code: str) -> list[int]:
    """The statuses under which a code is answered; other protocols have habits of their own."""
    usual = STATUSES[code]
    if endpoint.tag == "graphql" and code in ("TOO_LARGE", "VALIDATION_ERROR"):
        # Of the document 400, of what carries it as everywhere.
        return [400, usual]
    if endpoint.failure is not failure and endpoint.tag == "ionq" and usual == 422:
        return [400]
    return [usual]
