"""
`POST /graphql`: one operation, as JSON and nothing else, so that no form and no link of another page can send one.

What is refused before anything ran is 400; what ran is 200, whatever became of its fields.
"""

from __future__ import annotations

from typing import Any

import msgspec
from graphql import OperationType
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import envelope, inputs
from qstore_appliance.api.graphql.context import Context
from qstore_appliance.api.graphql.documents import MAX_BYTES, Refused
from qstore_appliance.api.graphql.execution import Asked, Engine, refused, told, written
from qstore_appliance.api.graphql.naming import SDL
from qstore_appliance.api.registry import SIGNED_IN, Routes
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.errors import Malformed, QStoreError, TooLarge, ValidationFailed

MEDIA = "application/graphql-response+json"
MAX_VARIABLES = 1_000_000
#: Characters of a document may be escaped in JSON.
BODY = MAX_VARIABLES + 2 * MAX_BYTES


def failure(request: Request, error: QStoreError, status: int) -> HTTPResponse:
    return _answer(request, {"errors": [told(request, error)]}, status)


routes = Routes("graphql", failure=failure)


class GraphQLDraft(Draft):
    """`extensions` is what some clients add about themselves; it is not looked at."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None
    extensions: dict[str, Any] | None = None


class GraphQLError(msgspec.Struct, frozen=True, kw_only=True):
    """`extensions` has `code` and `details` as REST's errors have them."""

    message: str
    extensions: dict[str, Any]
    path: list[str | int] | None = None
    locations: list[dict[str, int]] | None = None


class GraphQLAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: dict[str, Any] | None = None
    errors: list[GraphQLError] | None = None


@routes.post(
    "/graphql",
    SIGNED_IN,
    body=GraphQLDraft,
    answer=GraphQLAnswer,
    bare=True,
    body_bytes=BODY,
    media=("application/json", MEDIA),
)
async def post(request: Request) -> HTTPResponse:
    """Run one query, or up to five mutations; each field needs the permission that its REST route needs."""
    asked = asked_of(inputs.document(request))
    engine: Engine = request.app.ctx.graphql
    try:
        prepared = engine.prepare(asked)
        if prepared.plan.kind is OperationType.SUBSCRIPTION:
            raise Refused([ValidationFailed.field("query", "is a subscription; those come over the WebSocket here")])
        context = Context(request, request.ctx.caller)
        shown = await engine.run(context, asked, prepared)
    except Refused as refusal:
        return _answer(request, refused(request, refusal), 400)
    # A repetition under the same Idempotency-Key must try again what did not happen.
    request.ctx.nothing_done = "errors" in shown and not context.done
    return _answer(request, shown, 200)


@routes.get("/graphql/schema.graphql", SIGNED_IN, answer=str, bare=True, media=("text/plain",))
async def published(request: Request) -> HTTPResponse:
    """The schema, for code generators and editors."""
    return HTTPResponse(SDL, content_type="text/plain; charset=utf-8")


def asked_of(value: Any) -> Asked:
    """
    Raises:
        Malformed: A batch of operations.
        TooLarge: The variables.
        ValidationFailed: Not what clients of GraphQL send.
    """
    if isinstance(value, list):
        raise Malformed("One operation in each request: batches are not taken.")
    draft = inputs.validated(GraphQLDraft, value)
    variables = draft.variables or {}
    if len(variables) > 500 or len(msgspec.json.encode(variables)) > MAX_VARIABLES:
        raise TooLarge(f"The variables are larger than {MAX_VARIABLES} bytes.", details={"limit": MAX_VARIABLES})
    return Asked(draft.query, variables, draft.operationName)


def _answer(request: Request, shown: dict[str, Any], status: int) -> HTTPResponse:
    media = MEDIA if MEDIA in request.headers.get("accept", "") else envelope.JSON
    return HTTPResponse(written(request, shown), status=status, content_type=media)
