"""
Routes that say what they are: who may use them, what they take, what they answer.

One declaration serves the router, the permission check, `/openapi.json` and the tests that walk every route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pydantic
from sanic import Request, Sanic
from sanic.response import HTTPResponse

from qstore_appliance.api import envelope, idempotency, inputs
from qstore_appliance.errors import NotFound, QStoreError, Unauthenticated

#: Bytes of a request body, where a route says nothing else; and for circuits and predictions.
BODY = 1_000_000
LARGE_BODY = 32_000_000

#: Characters of an id; nothing longer is looked up, unless a route says so.
LONGEST_ID = 40

#: Anybody may call it; anybody who is signed in may call it. Everything else is a scope such as `circuits:read`.
PUBLIC = "public"
SIGNED_IN = "signed-in"


Handler = Callable[..., Coroutine[Any, Any, HTTPResponse | None]]
Failure = Callable[[Request, QStoreError, int], HTTPResponse]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query parameter, for the documentation; `inputs.py` reads it."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})


PAGING = (
    Query(name="limit", description="Rows in the answer.", schema={"type": "integer", "minimum": 1, "maximum": 100}),
    Query(name="offset", description="Rows to skip.", schema={"type": "integer", "minimum": 0}),
    Query(name="sort", description="A field to sort by, with `-` in front for descending."),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    method: str
    #: With parameters in braces: `/v1/circuits/{id}`.
    path: str
    permission: str
    handler: Handler
    tag: str
    status: int
    answer: Any
    other: Any
    body: tuple[type[pydantic.BaseModel], ...]
    query: tuple[Query, ...]
    paged: bool
    bare: bool
    media: tuple[str, ...]
    form: dict[str, Any] | None
    body_bytes: int
    secret: bool
    kept: bool
    #: Characters of a parameter in the path.
    longest: int
    #: Has an `ETag`: takes `If-None-Match`, or `If-Match` where something is changed.
    tagged: bool
    failure: Failure

    @property
    def name(self) -> str:
        return f"{self.tag}_{getattr(self.handler, '__name__', 'handler')}"

    def is_at(self, path: str) -> bool:
        """Whether its addresses look like this one."""
        return re.fullmatch(re.sub(r"{\w+}", "[^/]+", self.path), path) is not None

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


class Routes:
    """
    The routes of one noun.

    Args:
        failure: How they say that something went wrong, where that is not in our envelope.
    """

    def __init__(self, tag: str, failure: Failure = envelope.failure) -> None:
        self.tag = tag
        self.failure = failure
        self.endpoints: list[Endpoint] = []

    def get(self, path: str, permission: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._declare("GET", path, permission, **more)

    def post(self, path: str, permission: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._declare("POST", path, permission, **more)

    def patch(self, path: str, permission: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._declare("PATCH", path, permission, **more)

    def put(self, path: str, permission: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._declare("PUT", path, permission, **more)

    def delete(self, path: str, permission: str, **more: Any) -> Callable[[Handler], Handler]:
        return self._declare("DELETE", path, permission, **more)

    def _declare(
        self,
        method: str,
        path: str,
        permission: str,
        *,
        status: int = 200,
        answer: Any = None,
        other: Any = None,
        body: type[pydantic.BaseModel] | tuple[type[pydantic.BaseModel], ...] = (),
        query: tuple[Query, ...] = (),
        paged: bool = False,
        bare: bool = False,
        media: tuple[str, ...] = ("application/json",),
        form: dict[str, Any] | None = None,
        body_bytes: int = BODY,
        secret: bool = False,
        kept: bool = True,
        longest: int = LONGEST_ID,
        tagged: bool = False,
    ) -> Callable[[Handler], Handler]:
        """
        Args:
            answer: The type of `data`; of one row where `paged`; of the whole answer where `bare`.
            other: What `data` may be instead, if a parameter asks for it.
            form: The schema of a multipart form; its handler reads the body by itself, as it comes.
            secret: The answer holds something that must not be stored, not even for an idempotent repetition.
            kept: Whether a repetition under the same `Idempotency-Key` is answered from what was stored. Not where a
                password stands in the body: a digest of it would lie in the database for a day. Nor where tokens are
                answered: they would lie there themselves.
        """

        def register(handler: Handler) -> Handler:
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    permission=permission,
                    handler=handler,
                    tag=self.tag,
                    status=status,
                    answer=answer,
                    other=other,
                    body=body if isinstance(body, tuple) else (body,),
                    query=(*query, *(PAGING if paged else ())),
                    paged=paged,
                    bare=bare,
                    media=media,
                    form=form,
                    body_bytes=body_bytes,
                    secret=secret,
                    kept=kept,
                    longest=longest,
                    tagged=tagged,
                    failure=self.failure,
                )
            )
            return handler

        return register

    def mount(self, app: Sanic[Any, Any]) -> None:
        for endpoint in self.endpoints:
            methods = {"GET", "HEAD"} if endpoint.method == "GET" else {endpoint.method}
            app.add_route(
                _served(endpoint),
                re.sub(r"{(\w+)}", r"<\1:str>", endpoint.path),
                methods=methods,
                name=f"{endpoint.name}_{endpoint.method.lower()}",
                # Sanic reads the body of an ordinary route before it asks who is there; ours comes after.
                stream=True,
                ctx_endpoint=endpoint,
            )


def endpoint_of(request: Request) -> Endpoint | None:
    """The declaration of the request's route; None for pages, static files and unknown addresses."""
    return getattr(request.route.ctx, "endpoint", None) if request.route else None


def _served(endpoint: Endpoint) -> Handler:
    async def serve(request: Request, **parameters: str) -> HTTPResponse | None:
        caller = request.ctx.caller
        if endpoint.permission != PUBLIC:
            if caller is None:
                raise Unauthenticated()
            if endpoint.permission != SIGNED_IN:
                caller.require(endpoint.permission)
        if any(len(value) > endpoint.longest for value in parameters.values()):
            raise NotFound("There is nothing at this address.")
        if endpoint.form is not None:
            return await endpoint.handler(request, **parameters)
        await inputs.receive(request, endpoint.body_bytes)
        await inputs.prepare(request, endpoint.body)
        if endpoint.method == "POST" and caller is not None and endpoint.kept:
            return await idempotency.once(
                request, request.body, lambda: endpoint.handler(request, **parameters), secret=endpoint.secret
            )
        return await endpoint.handler(request, **parameters)

    serve.__name__ = endpoint.name
    serve.__doc__ = endpoint.handler.__doc__
    return serve
