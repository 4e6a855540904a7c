"""The real clients: `graphql-ws` and `urql` under node, against the real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.domain.accounts import ApiKeyDraft
from tests.api.conftest import Served
from tests.api.graphql.test_socket import METRICS, PROGRESS, listening, tell
from tests.factories import make_job_row

PATIENCE = 60.0
HERE = Path(__file__).parent / "node"

pytestmark = pytest.mark.xdist_group("graphql_clients")


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clients, in exactly the locked versions, and the scripts that drive them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js here")
    folder = tmp_path_factory.mktemp("graphql") / "node"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install the clients: {done.stderr.strip().splitlines()[-1:]}")
    return folder


class Node:
    """A process of node; what it writes are lines of JSON, the first of each a name."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def hear(self, *names: str) -> list[Any]:
        """The next line of these names; others are passed over."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while True:
                line = await self.process.stdout.readline()
                assert line, "node has ended"
                said: list[Any] = json.loads(line)
                if not names or said[0] in names:
                    return said


Run = Callable[..., Any]


@pytest_asyncio.fixture
async def run(modules: Path) -> AsyncIterator[Run]:
    """`await run("script.mjs", …)`: a script that runs in the folder of the clients."""
    async with AsyncExitStack() as stack:

        async def started(script: str, *arguments: str) -> Node:
            environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
            process = await asyncio.create_subprocess_exec(
                "node", script, *arguments,
                cwd=modules, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip

            async def end() -> None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

            stack.push_async_callback(end)
            return Node(process)

        yield started


@pytest.fixture
def socket(run: Run, served: Served) -> Run:
    """`await socket({"token": …})`: a graphql-ws client."""

    async def opened(credentials: dict[str, Any] | None = None, attempts: int = 0) -> Node:
        given = {"token": served.token("owner")} if credentials is None else credentials
        address = served.url.replace("http", "ws") + "/graphql"
        return await run("graphqlws.mjs", address, json.dumps(given), str(attempts))

    return opened


@pytest_asyncio.fixture
async def job(served: Served) -> str:
    return str((await make_job_row(await served.caller("owner"), status="running")).id)


async def test_graphql_ws_asks_and_changes(socket: Run) -> None:
    """Query, mutation, a refusal and a document that is none, all over one socket."""
    client = await socket()

    await client.do(id="q", query="{ currentUser { email role } }")
    asked = [await client.hear("next"), await client.hear("complete")]
    await client.do(
        id="m",
        query='mutation { createCircuit(input: {name: "A", nQubits: 1, gates: [{type: "H", targets: [0]}]}) { name } }',
    )
    changed = await client.hear("next", "error")
    await client.do(id="f", query='mutation { deleteCircuit(id: "x") }')
    failed = await client.hear("next", "error")
    await client.do(id="v", query="{ nothing }")
    wrong = await client.hear("next", "error")

    assert asked[0][1:] == ["q", {"data": {"currentUser": {"email": "owner@example.org", "role": "owner"}}}]
    assert changed[1:] == ["m", {"data": {"createCircuit": {"name": "A"}}}]
    assert failed[2]["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert (wrong[0], wrong[2][0]["extensions"]["code"]) == ("error", "VALIDATION_ERROR")


async def test_graphql_ws_follows_a_job(socket: Run, served: Served, job: str) -> None:
    """Two subscriptions of one client hear every epoch in order and complete with the job; one that is disposed hears no more."""
    client = await socket()
    for id, query in (("p", PROGRESS), ("m", METRICS), ("d", METRICS)):
        await client.do(id=id, query=query, variables={"id": job})
    await listening(served, job)
    await listening(served, job, "job.metrics")
    await client.do(dispose="d")
    assert (await client.hear("complete"))[1] == "d"

    await tell(served, job, range(1, 21))
    await tell(served, job, range(21, 22), "completed")
    heard: dict[str, list[Any]] = {"p": [], "m": []}
    ended: set[str] = set()
    while ended != {"p", "m"}:
        name, id, *more = await client.hear("next", "complete", "error")
        if name == "complete":
            ended.add(id)
        else:
            heard[id].append(more[0]["data"])

    assert [one["jobProgress"]["currentEpoch"] for one in heard["p"]] == list(range(1, 22))
    assert [one["trainingMetrics"]["epoch"] for one in heard["m"]] == list(range(1, 22))
    assert served.appliance.events._readers == {}


async def test_graphql_ws_is_told_why_it_stays_outside(socket: Run) -> None:
    """A wrong token closes with 4403, and the client reports that to whoever subscribed."""
    client = await socket({"token": "nonsense"})
    await client.do(id="q", query="{ __typename }")

    assert (await client.hear("closed"))[1] == 4403
    assert await client.hear("error") == ["error", "q", {"code": 4403, "reason": "Forbidden"}]


async def test_graphql_ws_leaves_with_its_key(socket: Run, served: Served, job: str) -> None:
    """When its key is revoked the client is closed with 4401, which it takes as final and does not come back."""
    owner = await served.caller("owner")
    made = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))
    client = await socket({"apiKey": made.key}, attempts=5)
    await client.do(id="p", query=PROGRESS, variables={"id": job})
    await listening(served, job)

    await served.appliance.accounts.revoke_key(owner, made.id)

    assert (await client.hear("closed"))[1] == 4401
    assert (await client.hear("error", "connected"))[:2] == ["error", "p"]


async def test_urql(run: Run, served: Served, job: str) -> None:
    """urql creates, lists through a fragment, reads codes of refusals, and follows a job."""
    await tell(served, job, range(1, 3))
    client = await run("urql.mjs", f"{served.url}/graphql", served.token("owner"), job)

    created = (await client.hear("created"))[1]
    listed = (await client.hear("listed"))[1]
    refused = (await client.hear("refused"))[1]
    invalid = (await client.hear("invalid"))[1]
    progress = [(await client.hear("progress"))[1] for _ in range(2)]
    await tell(served, job, range(3, 4))
    progress.append((await client.hear("progress"))[1])

    circuit = created["data"]["createCircuit"]
    assert (circuit["name"], circuit["gateCount"]) == ("Bell", 2)
    assert [row["id"] for row in listed["data"]["circuits"]] == [circuit["id"]]
    assert listed["data"]["currentUser"]["role"] == "owner"
    assert refused["codes"] == ["INVALID_CIRCUIT"]
    assert invalid["codes"] == ["VALIDATION_ERROR"]
    assert [one["data"]["jobProgress"]["currentEpoch"] for one in progress] == [1, 2, 3]
