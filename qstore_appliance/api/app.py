"""
The app: every door of the API on one page.

`create_app` may be called any number of times in one process. The appliance opens before the server listens and closes
after it has stopped.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from sanic import Request, Sanic
from sanic.config import Config
from sanic.response import HTTPResponse

from qstore_appliance.api import downloads, faults, middleware, probes
from qstore_appliance.api.graphql import socket as graphql_socket
from qstore_appliance.api.graphql import view as graphql
from qstore_appliance.api.graphql.execution import Engine
from qstore_appliance.api.ionq import jobs as ionq_jobs
from qstore_appliance.api.live import events, socket, socketio, stream
from qstore_appliance.api.live.connections import Connections
from qstore_appliance.api.pages import explorers
from qstore_appliance.api.pages.site import blueprint as pages
from qstore_appliance.api.parent import datasets as parent_datasets
from qstore_appliance.api.registry import Endpoint, Routes
from qstore_appliance.api.rest import (
    alerts,
    api_keys,
    audit,
    auth,
    backends,
    budgets,
    capsules,
    circuit_versions,
    circuits,
    datasets,
    deployments,
    executions,
    invitations,
    jobs,
    members,
    models,
    openapi,
    optimisations,
    organization,
    outbox,
    passwords,
    roles,
    second_factors,
    sessions,
    sweeps,
    usage,
    users,
    webhooks,
    workers,
)
from qstore_appliance.appliance import Appliance
from qstore_appliance.settings import Settings

#: In the order in which the documentation shows them.
NOUNS: tuple[Routes, ...] = (
    auth.routes,
    sessions.routes,
    users.routes,
    members.routes,
    roles.routes,
    invitations.routes,
    passwords.routes,
    second_factors.routes,
    organization.routes,
    api_keys.routes,
    circuits.routes,
    circuit_versions.routes,
    executions.routes,
    optimisations.routes,
    datasets.routes,
    jobs.routes,
    stream.routes,
    events.routes,
    sweeps.routes,
    models.routes,
    capsules.routes,
    deployments.routes,
    backends.routes,
    usage.routes,
    budgets.routes,
    alerts.routes,
    outbox.routes,
    webhooks.routes,
    audit.routes,
    workers.routes,
    ionq_jobs.routes,
    parent_datasets.routes,
    graphql.routes,
    downloads.routes,
    probes.routes,
    openapi.routes,
)

LIMITS = {
    # Pages and their forms; the API's own routes read their bodies by themselves, each to its limit.
    "REQUEST_MAX_SIZE": 1_000_000,
    "REQUEST_MAX_HEADER_SIZE": 16_384,
    "REQUEST_BUFFER_SIZE": 262_144,
    "REQUEST_TIMEOUT": 10,
    "RESPONSE_TIMEOUT": 120,
    "KEEP_ALIVE_TIMEOUT": 75,
    "GRACEFUL_SHUTDOWN_TIMEOUT": 10.0,
    "WEBSOCKET_MAX_SIZE": 65_536,
    # A client that vanished without a word is gone after both.
    "WEBSOCKET_PING_INTERVAL": 20,
    "WEBSOCKET_PING_TIMEOUT": 20,
    "ACCESS_LOG": False,
    "AUTO_EXTEND": False,
    "MOTD": False,
    "FALLBACK_ERROR_FORMAT": "json",
}

#: A request that goes on without its client, or a closing WebSocket, gets so long before the appliance closes.
UNFINISHED_SECONDS = 5.0

OpenAppliance = Callable[..., AbstractAsyncContextManager[Any]]
_numbers = itertools.count(1)


def endpoints() -> list[Endpoint]:
    """Every declared route, for the documentation and for tests that walk them all."""
    return [endpoint for noun in NOUNS for endpoint in noun.endpoints]


def create_app(settings: Settings, *, open_appliance: OpenAppliance = Appliance.open) -> Sanic[Any, Any]:
    """
    Args:
        settings: What the operator decided.
        open_appliance: `open_appliance(settings)` is the context in which the appliance is open.
    """
    # Sanic refuses two apps of one name in a process; environment variables of its own must not change ours.
    app: Sanic[Any, Any] = Sanic(
        f"qstore-{next(_numbers)}", config=Config(env_prefix="QSTORE_SANIC_NONE_"), configure_logging=False
    )
    app.config.update(LIMITS)
    app.ctx.settings = settings
    app.ctx.hosts = middleware.configured_hosts(settings)
    app.ctx.hosts_complete = False
    app.ctx.open_appliance = open_appliance
    app.ctx.endpoints = endpoints()

    middleware.install(app)
    app.exception(Exception)(faults.answer)
    for noun in NOUNS:
        noun.mount(app)
    app.add_websocket_route(socket.serve, "/v1/ws", name="live_socket")
    app.add_route(_socketio, socketio.PATH, methods={"GET", "POST"}, name="live_socketio")
    app.add_websocket_route(
        graphql_socket.serve,
        "/graphql",
        subprotocols=[graphql_socket.PROTOCOL],
        name="graphql_socket",
        ctx_page=explorers.graphiql,
    )
    app.blueprint(pages)

    app.before_server_start(_open)
    app.before_server_stop(_announce_stop)
    app.after_server_stop(_close)
    return app


async def _socketio(request: Request) -> HTTPResponse:
    door: socketio.Door = request.app.ctx.socketio
    return await door.handle(request)


async def _open(app: Sanic[Any, Any]) -> None:
    #: Set when the server is about to stop: streams end by themselves then.
    app.ctx.stopping = asyncio.Event()
    #: What outlives its connection for a moment and still needs the appliance.
    app.ctx.unfinished = set()
    #: Streams of each caller.
    app.ctx.streams = Counter()
    #: Who is connected, through whichever door.
    app.ctx.connections = Connections()
    app.ctx.graphql = Engine()
    #: None until the appliance is open, which may fail.
    app.ctx.socketio = None
    #: Large bodies are judged one at a time.
    app.ctx.judging = asyncio.Semaphore(1)
    app.ctx.stack = AsyncExitStack()
    app.ctx.appliance = await app.ctx.stack.enter_async_context(app.ctx.open_appliance(app.ctx.settings))
    app.ctx.connections.start()
    app.ctx.socketio = socketio.Door(app.ctx.appliance, app.ctx.connections)
    app.ctx.socketio.start()
    app.ctx.stack.push_async_callback(app.ctx.connections.close)


async def _announce_stop(app: Sanic[Any, Any]) -> None:
    app.ctx.stopping.set()
    app.ctx.connections.stop()
    if app.ctx.socketio is not None:
        await app.ctx.socketio.stop()


async def _close(app: Sanic[Any, Any]) -> None:
    if app.ctx.unfinished:
        await asyncio.wait(app.ctx.unfinished, timeout=UNFINISHED_SECONDS)
    app.ctx.graphql.close()
    await app.ctx.stack.aclose()
