"""
One operation from text to answer, for HTTP and for the WebSocket alike.

Queries of one caller run four at a time and for five seconds at the most; mutations take what their services take, and are
not stopped halfway.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute,
    subscribe,
)
from sanic import Request

from qstore_appliance.api import envelope, faults
from qstore_appliance.api.graphql.aside import Aside
from qstore_appliance.api.graphql.context import Context
from qstore_appliance.api.graphql.documents import Documents, Refused, operation
from qstore_appliance.api.graphql.plan import Plan, Planner
from qstore_appliance.api.graphql.schema import schema
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import DeadlineExceeded, QStoreError, TooLarge

log = structlog.get_logger(__name__)

AT_ONCE = 4
#: Waiting for its turn included.
QUERY_SECONDS = 5.0
MAX_ANSWER = 5_000_000


class Asked(NamedTuple):
    """What a client sends: `{"query", "variables", "operationName"}`."""

    query: str
    variables: dict[str, Any]
    name: str | None


class Prepared(NamedTuple):
    document: DocumentNode
    operation: OperationDefinitionNode
    plan: Plan


class Engine:
    """The schema, what is known of documents, and who runs how much."""

    def __init__(self) -> None:
        self.schema: GraphQLSchema = schema()
        self._aside = Aside(lambda: self._waiting > 0)
        self._waiting = 0
        self._documents = Documents(self.schema)
        self._turns: dict[str, asyncio.Semaphore] = {}
        #: What each of them reads at the moment.
        self._reading: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    def close(self) -> None:
        self._aside.close()

    def prepare(self, asked: Asked) -> Prepared:
        """
        Raises:
            Refused: Nothing of it runs.
        """
        document = self._documents.read(asked.query)
        wanted = operation(document, asked.name)
        return Prepared(document, wanted, Planner(self.schema, document, asked.variables).plan(wanted))

    async def run(self, context: Context, asked: Asked, prepared: Prepared) -> dict[str, Any]:
        """
        The answer to a query or to mutations: `{"data", "errors"?}`.

        Raises:
            Refused: Its variables do not fit; nothing of it ran.
        """
        try:
            if prepared.plan.kind is OperationType.MUTATION:
                return await self._answered(context, asked, prepared)
            async with asyncio.timeout(QUERY_SECONDS), self._turn(context.caller) as reading:
                context.goes_aside(self._aside, reading)
                return await self._aside.run(lambda: self._answered(context, asked, prepared))
        except TimeoutError:
            late = DeadlineExceeded(f"The query took longer than {QUERY_SECONDS:g} seconds. Ask for less at once.")
            return {"data": None, "errors": [told(context.request, late)]}

    async def events(self, context: Context, asked: Asked, prepared: Prepared) -> AsyncIterator[dict[str, Any]]:
        """
        The answers of a subscription, one for each event.

        Raises:
            Refused: It cannot be subscribed to: an argument, a permission, or a job that is not there.
            QStoreError: It cannot go on.
        """
        try:
            found = subscribe(
                self.schema,
                prepared.document,
                context_value=context,
                variable_values=asked.variables,
                operation_name=asked.name,
            )
            stream = await found if isinstance(found, Awaitable) else found
            if isinstance(stream, ExecutionResult):
                raise Refused([*(stream.errors or [])])
            results = aiter(stream)
            try:
                async for result in results:
                    yield self._shown(context, result)
            finally:
                # What feeds it listens to the bus.
                await cast(Any, results).aclose()
        finally:
            context.close()

    async def _answered(self, context: Context, asked: Asked, prepared: Prepared) -> dict[str, Any]:
        try:
            return self._shown(context, await self._executed(context, asked, prepared))
        finally:
            context.close()

    async def _executed(self, context: Context, asked: Asked, prepared: Prepared) -> ExecutionResult:
        result = execute(
            self.schema,
            prepared.document,
            context_value=context,
            variable_values=asked.variables,
            operation_name=asked.name,
            max_coercion_errors=10,
        )
        return await result if isinstance(result, Awaitable) else result

    def _shown(self, context: Context, result: ExecutionResult) -> dict[str, Any]:
        errors = result.errors or []
        if result.data is None and errors and all(error.path is None for error in errors):
            raise Refused([*errors])
        shown: dict[str, Any] = {"data": result.data}
        if errors:
            shown["errors"] = [told(context.request, error, done=context.done) for error in errors]
        return shown

    @asynccontextmanager
    async def _turn(self, caller: Caller) -> AsyncIterator[asyncio.Semaphore]:
        """One of the few places that a caller has; with what lets one of its queries at a time read."""
        turns = self._turns.setdefault(caller.bucket, asyncio.Semaphore(AT_ONCE))
        reading = self._reading.setdefault(caller.bucket, asyncio.Semaphore(1))
        self._users[caller.bucket] += 1
        try:
            self._waiting += 1
            try:
                await turns.acquire()
            finally:
                self._waiting -= 1
            try:
                yield reading
            finally:
                turns.release()
        finally:
            self._users[caller.bucket] -= 1
            if not self._users[caller.bucket]:
                del self._users[caller.bucket], self._turns[caller.bucket], self._reading[caller.bucket]


def told(request: Request, error: GraphQLError | QStoreError, *, done: list[str] | None = None) -> dict[str, Any]:
    """An error as GraphQL clients expect it, with the code and the details that REST gives, in `extensions`."""
    cause = error.original_error if isinstance(error, GraphQLError) else error
    # One that a scalar raises wraps the family's error in GraphQL's.
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if cause is None:
        assert isinstance(error, GraphQLError)
        return {**_placed(error), "message": error.message, "extensions": {"code": _code(error), "details": {}}}
    known = faults.translated(cause)
    if known.code == "INTERNAL":
        log.error(
            "graphql.failed",
            request_id=envelope.request_id(request),
            path=getattr(error, "path", None),
            exc_info=cause,
        )
    extensions: dict[str, Any] = {"code": known.code, "details": known.details}
    if getattr(known, "retry_after", None) is not None:
        extensions["retryAfter"] = known.retry_after  # type: ignore[attr-defined]
    if done:
        extensions["done"] = list(done)
    placed = _placed(error) if isinstance(error, GraphQLError) else {}
    return {**placed, "message": known.message, "extensions": extensions}


def _placed(error: GraphQLError) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if error.locations:
        found["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        found["path"] = error.path
    return found


def _code(error: GraphQLError) -> str:
    """Of what GraphQL itself found: text that it cannot read, or a document that does not fit the schema."""
    return "MALFORMED" if error.message.startswith("Syntax Error") else "VALIDATION_ERROR"


def written(request: Request, shown: dict[str, Any]) -> bytes:
    """An answer as it travels; one that is too large says so instead."""
    content = envelope.encode(shown)
    if len(content) <= MAX_ANSWER:
        return content
    large = TooLarge(
        f"The answer is larger than {MAX_ANSWER // 1_000_000} MB. Ask for less at once.", details={"limit": MAX_ANSWER}
    )
    return envelope.encode({"data": None, "errors": [told(request, large)]})


def refused(request: Request, refusal: Refused) -> dict[str, Any]:
    return {"errors": [told(request, error) for error in refusal.errors]}
