"""Every noun against the real server, with asyncio and without."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qstore_client import JobFailed, QStoreClient, SyncQStoreClient, errors

from tests.acceptance.processes import PASSWORD
from tests.clients.python.conftest import CONFIG, RIVAL, Laboratory, gates

pytestmark = pytest.mark.xdist_group("python-client")


async def test_circuits(client: QStoreClient) -> None:
    """Stored, found by tag, changed, written otherwise, drawn, run, deleted and brought back."""
    circuit = await client.circuits.create(name="first", n_qubits=4, gates=gates(), metadata={"tags": ["tags-of-ours"]})
    changed = await client.circuits.update(circuit.id, name="second")
    found = await client.circuits.list(tags=["tags-of-ours"])

    assert (circuit.gate_count, circuit.depth, changed.name) == (7, 4, "second")
    assert [row.id for row in found] == [circuit.id]
    text = await client.circuits.export(circuit.id, "qasm3")
    assert "input" in str(text)
    again = await client.circuits.import_(name="third", format="qasm3", source=str(text))
    assert again.gate_count == circuit.gate_count
    assert (await client.circuits.export(circuit.id, "unified"))["n_qubits"] == 4  # type: ignore[index]
    assert (await client.circuits.drawing(circuit.id)).startswith("<svg")
    run = await client.circuits.run(circuit.id, {f"theta_{q}": 0.0 for q in range(4)}, shots=100, observables=["Z0"])
    assert run.counts == {"0000": 100}
    assert run.expectations[0].value == 1.0
    smaller = await client.circuits.optimize(circuit.id, target_backend="ionq_hardware", optimization_level=3)
    assert smaller.certificate.equivalent
    compared = await client.circuits.compare(circuit.id, smaller.optimized_circuit_id)
    assert compared.equivalent
    assert set(compared.resources.b.gates) <= {"GPI", "GPI2", "MS"}
    await client.circuits.update(circuit.id, gates=gates()[:1])
    assert [row.version for row in await client.circuits.versions(circuit.id)] == [2, 1]
    assert (await client.circuits.version(circuit.id, 1)).gate_count == 7
    assert ((await client.circuits.diff(circuit.id)).diff.removed, (await client.circuits.diff(circuit.id)).b) == (6, 2)
    await client.circuits.delete(circuit.id)
    with pytest.raises(errors.NotFound) as refused:
        await client.circuits.get(circuit.id)
    assert (refused.value.status, refused.value.details) == (404, {"id": circuit.id})
    assert refused.value.request_id.startswith("req_")  # type: ignore[union-attr]
    assert (await client.circuits.restore(circuit.id)).id == circuit.id


async def test_lists_of_many_pages(client: QStoreClient) -> None:
    """`iterate` finds every row once, also those that come in meanwhile push others to the next page."""
    made = {
        (await client.circuits.create(name=f"n{n}", n_qubits=4, gates=gates(), metadata={"tags": ["many"]})).id
        for n in range(5)
    }
    found = []
    async for row in client.circuits.iterate(tags=["many"], page_size=2):
        if len(found) == 1:
            await client.circuits.create(name="meanwhile", n_qubits=4, gates=gates(), metadata={"tags": ["many"]})
        found.append(row.id)

    assert len(found) == len(set(found))
    assert made <= set(found)


def test_jobs_from_submit_to_answers(lab: SyncQStoreClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Submitted, estimated, waited for with a bar, read, continued, replayed; its model deployed, asked and retired."""
    circuit = lab.circuits.create(name="iris", n_qubits=4, gates=gates())
    estimate = lab.jobs.estimate(circuit_id=circuit.id, config=CONFIG)
    submitted = lab.jobs.submit(circuit_id=circuit.id, config=CONFIG, priority="high", tags=["ours"], project="p")
    job = lab.jobs.wait(submitted.id, progress=True)

    assert estimate.time_seconds.low <= estimate.time_seconds.high
    assert (job.status, job.priority, job.tags, job.progress.current_epoch) == ("completed", "high", ["ours"], 3)
    assert "epoch 3/3  completed" in capsys.readouterr().err
    assert [row.id for row in lab.jobs.list(status=["completed"], limit=100)].count(job.id) == 1
    assert any("Completed" in line.message for line in lab.jobs.logs(job.id, level="info"))
    replayed = lab.jobs.wait(lab.jobs.replay(job.id).id)
    assert replayed.metrics["replay"] == {"of": job.id, "bit_equal": True, "first_difference": None}
    further = lab.jobs.wait(lab.jobs.continue_(job.id, epochs=1).id)
    assert further.continued_from == job.id

    assert job.model_id is not None
    deployed = lab.deployments.wait(lab.models.deploy(job.model_id).deployment_id)
    assert deployed.status == "deployed"
    answers = lab.models.predict(job.model_id, np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]))
    assert set(answers.labels) <= {"setosa", "versicolor", "virginica"}
    assert sum(answers.predictions[0].probabilities or ()) == pytest.approx(1)
    with pytest.raises(errors.ValidationFailed) as refused:
        lab.models.predict(job.model_id, [[1.0]])
    assert refused.value.errors[0]["field"].startswith("inputs")
    assert further.model_id is not None
    named = lab.models.update(further.model_id, name="irises", version="0.1.0", tags=["ours"], notes="n")
    assert (named.version, named.tags, named.lineage.training_job_id) == ("0.1.0", ["ours"], further.id)
    assert lab.models.promote(named.id, "production").stage == "production"
    assert [row.id for row in lab.models.list(name="irises", stage="production", tags=["ours"])] == [named.id]
    assert lab.models.compare(job.model_id, named.id).same_circuit
    archive = lab.models.export(named.id)
    assert lab.models.verify(archive).signer == lab.models.signer()
    assert lab.models.import_(archive, version="0.2.0").lineage.imported["model_id"] == named.id
    with pytest.raises(errors.Conflict):
        lab.models.import_(archive)
    lab.models.delete(named.id)
    assert lab.models.restore(named.id).stage is None
    assert lab.models.metrics(job.model_id, window="1d").requests > 0
    assert lab.models.retire(job.model_id).status == "retired"
    with pytest.raises(errors.Gone):
        lab.models.predict(job.model_id, [[1.0] * 4])


def test_jobs_that_are_stopped(lab: SyncQStoreClient) -> None:
    """Paused, resumed, given more money, cancelled; `wait` says that it did not complete."""
    circuit = lab.circuits.create(name="long", n_qubits=4, gates=gates())
    id = lab.jobs.submit(circuit_id=circuit.id, config={**CONFIG, "epochs": 100_000}, budget_limit=1.0).id

    assert lab.jobs.pause(id).status == "paused"
    assert lab.jobs.top_up(id, 2.0).budget_limit == 2.0
    assert lab.jobs.resume(id).status in ("queued", "running")
    assert lab.jobs.cancel(id).status == "cancelled"
    with pytest.raises(JobFailed) as failed:
        lab.jobs.wait(id)
    assert failed.value.job.id == id
    assert lab.jobs.wait(id, check=False).status == "cancelled"


async def test_sweeps(client: QStoreClient) -> None:
    """A job for each combination, with one progress."""
    circuit = await client.circuits.create(name="swept", n_qubits=4, gates=gates())
    sweep = await client.sweeps.submit(
        circuit_id=circuit.id, config={**CONFIG, "learning_rate": [0.01, 0.1]}, name="rates"
    )

    assert (sweep.n_jobs, len(sweep.best)) == (2, 2)
    assert sweep.id in [row.id async for row in client.sweeps.iterate()]
    assert (await client.sweeps.cancel(sweep.id)).id == sweep.id
    assert (await client.sweeps.get(sweep.id)).varied == {"learning_rate": [0.01, 0.1]}


async def test_data_sets(client: QStoreClient, tmp_path: Path) -> None:
    """Arrays, a data frame, a path, bytes and an open file; and what is wrong with one is told."""
    import pandas as pd

    x, y = np.arange(40.0).reshape(20, 2), np.array(["low", "high"] * 10, dtype=object)
    frame = pd.DataFrame({"kind": ["a", "b"] * 10, "p": range(20), "q": range(20)})
    file = tmp_path / "data.csv"
    frame.to_csv(file, index=False)

    arrays = await client.datasets.upload_arrays(x, y, name="arrays")
    framed = await client.datasets.upload_frame(frame, name="frame", label="kind")
    path = await client.datasets.upload(file, label="kind")
    with file.open("rb") as opened:
        again = await client.datasets.upload(opened, name="opened", label="kind")

    assert (arrays.classes, arrays.n_features) == (["high", "low"], 2)
    assert (framed.classes, framed.digest) == (["a", "b"], path.digest)
    assert (path.name, again.digest) == ("data", path.digest)
    assert (await client.datasets.statistics(arrays.id))["n_samples"] == 20
    assert {"digits", arrays.id} <= {row.id async for row in client.datasets.iterate()}
    with pytest.raises(errors.ValidationFailed):
        await client.datasets.upload(b"a,b\n1,\n", filename="bad.csv")
    with pytest.raises(ValueError, match="filename"):
        await client.datasets.upload(b"a,b\n1,2\n")
    await client.datasets.delete(arrays.id)
    with pytest.raises(errors.NotFound):
        await client.datasets.get(arrays.id)


async def test_money(client: QStoreClient) -> None:
    """Usage by day and as CSV; a limit with alerts, set and taken away."""
    usage = await client.usage.get(start_date=date(2026, 1, 1), end_date="2026-01-31", group_by="user")
    assert (usage.start_date, usage.breakdown_by_user) == (date(2026, 1, 1), {})
    assert (await client.usage.csv()).startswith("date,backend,cost")
    budget = await client.budget.update(100.0, [{"threshold": 80, "action": "pause_new_jobs"}])
    assert (budget.monthly_limit, budget.alerts[0].threshold) == (100.0, 80)
    with pytest.raises(errors.Conflict):
        await client.budget.test_alerts()
    assert (await client.budget.update(None, [])).monthly_limit is None
    assert (await client.budget.get()).alerts == []


async def test_the_house(laboratory: Laboratory, client: QStoreClient) -> None:
    """Users, organization, keys, backends, audit, outbox, webhooks, workers, probes and GraphQL."""
    async with laboratory.client(api_key=None, email="ada@example.org", password=PASSWORD) as owner:
        me = await owner.users.update_me(preferences={"default_backend": "native"})
        assert (await owner.workers.list())[0].state == "alive"
        assert (await owner.second_factor.get()).enabled is False
        assert (await owner.sessions.list()).total >= 1
        assert await owner.sessions.end_others() >= 0
        with pytest.raises(errors.ValidationFailed):
            await owner.users.change_password("wrong", "too short")
        key = await owner.api_keys.create("short", ["jobs:read"], environment="test")
    assert (me.email, me.preferences["default_backend"]) == ("ada@example.org", "native")
    assert (await client.organization.get()).name == "Lab"
    assert str(key.key).startswith("qsk_test_")
    async with laboratory.client(api_key=key.key) as narrow:
        assert (await narrow.jobs.list(limit=1)).limit == 1
        with pytest.raises(errors.Forbidden) as refused:
            await narrow.circuits.list()
        assert refused.value.details == {"permission": "circuits:read"}
        await client.api_keys.revoke(key.id)
        with pytest.raises(errors.Unauthenticated):
            await narrow.jobs.list()
    assert "native" in [row.name async for row in client.backends.iterate()]
    backend = (await client.backends.list())[0]
    assert (await client.backends.get(backend.id)).id == backend.id
    assert (await client.backends.status(backend.id)).queue.depth == 0
    assert (await client.audit.list(action="api_key", limit=1))[0].action == "api_key.revoked"
    assert (await client.audit.verify()).valid
    assert "api_key.created" in await client.audit.export()
    assert (await client.outbox.list()).total == 0
    first = await client.webhooks.secret()
    assert (await client.webhooks.renew_secret()).secret != first.secret
    assert (await client.probes.health()).status == "ok"
    assert (await client.probes.ready()).reasons == []
    assert (await client.probes.openapi())["openapi"].startswith("3.1")
    answer = await client.graphql.query("query Me { currentUser { email } }")
    assert answer == {"currentUser": {"email": "ada@example.org"}}
    with pytest.raises(errors.ValidationFailed) as wrong:
        await client.graphql.query("{ nothing }")
    assert wrong.value.details["errors"]
    offered = (await client.downloads.list())[0]
    assert len(await client.downloads.get(offered.name)) == offered.size_bytes
    assert "type Query" in await client.graphql.schema()


async def test_people(laboratory: Laboratory) -> None:
    """Invited, joined, given a role, switched to another organization and back, kept out, removed."""
    grace = {"api_key": None, "email": "grace@example.org", "password": "a phrase of her own"}
    async with (
        laboratory.client(api_key=None, email="ada@example.org", password=PASSWORD) as owner,
        laboratory.client(api_key=None, email=RIVAL, password=PASSWORD) as rival,
        laboratory.client(**grace) as guest,
    ):
        invited = await owner.invitations.create("grace@example.org", "viewer")
        token = str(invited.link).partition("#")[2]
        assert (await guest.invitations.offer(token)).organization == "Lab"
        joined = await guest.invitations.accept(token, grace["password"] or "", name="Grace")
        with pytest.raises(errors.Gone):
            await guest.invitations.accept(token, "another phrase 1")
        assert (await owner.users.get(joined.user_id)).name == "Grace"
        assert (await owner.users.update(joined.user_id, role="developer")).role == "developer"
        assert [row.email async for row in owner.users.iterate(role="developer")] == ["grace@example.org"]
        await owner.roles.create("night-shift", ["jobs:read", "jobs:cancel"], description="Stops jobs.")
        assert (await owner.users.update(joined.user_id, role="night-shift")).role == "night-shift"
        changed = await owner.roles.update("night-shift", permissions=["jobs:read"])
        assert changed == await owner.roles.get("night-shift") == (await owner.roles.list())[-1]
        assert (changed.members, changed.permissions, changed.description) == (1, ["jobs:read"], "Stops jobs.")
        with pytest.raises(errors.Conflict):
            await owner.roles.delete("night-shift")
        await owner.users.update(joined.user_id, role="developer")
        await owner.roles.delete("night-shift")
        with pytest.raises(errors.NotFound):
            await owner.roles.get("night-shift")
        again = await rival.invitations.create("grace@example.org", "admin")
        assert [row.email async for row in rival.invitations.iterate(status="pending")] == ["grace@example.org"]
        there = await guest.invitations.join(str(again.link).partition("#")[2])
        await guest.auth.switch(there.organization_id)
        assert (await guest.organization.update(name="Rivals and friends")).name == "Rivals and friends"
        assert (await guest.organization.update(name="Rivals", allowed_backends=None)).settings.allowed_backends is None
        lower = await guest.organization.update(max_storage_bytes=1_000_000)
        assert (lower.settings.max_storage_bytes, lower.storage.limit_bytes) == (1_000_000, 1_000_000)
        with pytest.raises(errors.Forbidden):
            await guest.organization.update(max_storage_bytes=None)
        await guest.auth.switch(next(one.id for one in await guest.organization.mine() if one.name == "Lab"))
        assert (await guest.users.me()).role == "developer"
        with pytest.raises(errors.LastOwner):
            await owner.users.update((await owner.users.me()).id, role="admin")
        assert (await owner.users.update(joined.user_id, disabled=True)).disabled
        await owner.users.remove(joined.user_id)
        await rival.users.remove(joined.user_id)
        with pytest.raises(errors.Unauthenticated):
            await guest.users.me()


async def test_users_sign_in_and_stay(laboratory: Laboratory) -> None:
    """A password signs in at the first request; an access token that is wrong is renewed; signing out ends it."""
    async with laboratory.client(api_key=None, email=RIVAL, password=PASSWORD) as rival:
        assert (await rival.users.me()).email == RIVAL
        # As after an hour.
        rival._http._token = "eyJhbGciOiJub25lIn0.e30."
        assert (await rival.organization.get()).name == "Rivals"
        await rival.auth.logout()
        with pytest.raises(errors.Unauthenticated):
            await rival.users.me()
    async with laboratory.client(api_key=None, email=RIVAL, password="wrong") as wrong:
        with pytest.raises(errors.Unauthenticated):
            await wrong.users.me()


async def test_refresh_tokens(laboratory: Laboratory) -> None:
    """A refresh token alone is enough, and goes on after the access token has ended."""
    async with laboratory.client(api_key=None, email=RIVAL, password=PASSWORD) as rival:
        tokens = await rival.auth.sign_in(RIVAL, PASSWORD)
    async with laboratory.client(api_key=None, refresh_token=tokens.refresh_token) as again:
        assert (await again.users.me()).email == RIVAL
        first = again._http._token
        again._http._ends = 0.0
        assert (await again.users.me()).email == RIVAL
        assert again._http._token != first


async def test_what_belongs_to_others(laboratory: Laboratory, client: QStoreClient) -> None:
    """Another organization's things are not there: to ask, to watch, to follow."""
    circuit = await client.circuits.create(name="ours", n_qubits=4, gates=gates())
    job = await client.jobs.submit(circuit_id=circuit.id, config=CONFIG)

    async def watched(stream: Any) -> None:
        async for _ in stream:
            raise AssertionError("a stranger hears")

    async with laboratory.client(api_key=None, email=RIVAL, password=PASSWORD) as rival:
        for ask in (
            lambda: rival.circuits.get(circuit.id),
            lambda: rival.jobs.get(job.id),
            lambda: rival.jobs.cancel(job.id),
            lambda: rival.jobs.submit(circuit_id=circuit.id, config=CONFIG),
            lambda: watched(rival.jobs.stream_progress(job.id)),
            lambda: watched(rival.jobs.follow_logs(job.id)),
            lambda: watched(rival.events.subscribe("job.progress", job_id=job.id)),
        ):
            with pytest.raises(errors.NotFound):
                await ask()
    await client.jobs.wait(job.id)
