"""The audit log over HTTP and on the command line."""

from __future__ import annotations

import csv
import io
import json

import httpx
import pytest

from qstore_appliance.cli import audit as verbs
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.errors import Refused
from tests.api.conftest import Client, Served


async def test_acts_over_http(owner: httpx.AsyncClient) -> None:
    """What is done over REST stands in the log with its address, pages, and is exported whole."""
    key = (await owner.post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]})).json()["data"]
    await owner.put("/v1/budget", json={"monthly_limit": 12.5})
    await owner.delete(f"/v1/api-keys/{key['id']}")

    answer = (await owner.get("/v1/audit?limit=2")).json()
    lines = (await owner.get("/v1/audit?format=jsonl")).text.splitlines()
    table = list(csv.DictReader(io.StringIO((await owner.get("/v1/audit?format=csv")).text)))
    verified = (await owner.get("/v1/audit/verify")).json()["data"]

    assert [entry["action"] for entry in answer["data"]] == ["api_key.revoked", "budget.updated"]
    assert answer["data"][0]["address"] == "127.0.0.1"
    assert answer["data"][1]["details"]["limit"] == 12_500_000
    assert answer["meta"]["total"] == len(lines) == len(table) == verified["entries"]
    assert json.loads(lines[-1])["subject"] == table[-1]["subject"] == key["id"]
    assert (verified["valid"], verified["head"]) == (True, answer["data"][0]["hash"])


async def test_strangers_have_their_own(client: Client) -> None:
    """Two organizations' logs have nothing in common; a developer reads none."""
    await client("owner").put("/v1/budget", json={"monthly_limit": 1})

    theirs = (await client("stranger").get("/v1/audit")).json()["data"]

    assert "budget.updated" not in {entry["action"] for entry in theirs}
    for path in ("/v1/audit", "/v1/audit/verify"):
        assert (await client("developer").get(path)).status_code == 403
    assert (await client("stranger").get("/v1/audit?installation=true")).status_code == 403


@pytest.mark.parametrize(
    "query",
    ["action=x", "since=yesterday", "until=99999999999", "format=xml", "sort=actor", "installation=maybe", "q=%00"],
)
async def test_wrong_questions(owner: httpx.AsyncClient, query: str) -> None:
    """A filter that makes no sense is 422 and named."""
    answer = await owner.get(f"/v1/audit?{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] == query.partition("=")[0]


async def test_the_hosts_verbs(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """`qstore audit` lists, exports and verifies; a log that was tampered with ends in an error that says so."""
    chosen = {"acting": None, "limit": 20, "offset": 0, "action": None, "installation": False, "format": "csv"}
    states = [state async for state in verbs.verify(served.appliance, {})]
    (listed,) = [page async for page in verbs.listed(served.appliance, chosen)]
    lines = [line async for line in verbs.export(served.appliance, chosen)]
    verbs.SHOW["listed"](listed, chosen)

    assert {state.fault for state in states} == {None}
    assert listed["total"] == len(lines) - 1
    assert "session.started" in capsys.readouterr().out
    await AuditRow.filter(seq=2).update(actor="mallory@example.org")
    with pytest.raises(Refused, match="entry 2 was changed"):
        _ = [state async for state in verbs.verify(served.appliance, {})]
