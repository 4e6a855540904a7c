"""Stored circuits, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuits import CircuitRow, CircuitTagRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuits import CircuitImport, CircuitPatch, Format
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Conflict, Forbidden, InvalidCircuit, NotFound, ValidationFailed
from qstore_appliance.services.circuits import Circuits
from tests.factories import (
    SteppingClock,
    ThreadCalculator,
    make_caller,
    make_circuit_draft,
    make_job_row,
    make_model_row,
)

RY = {"type": "RY", "targets": [0]}


@pytest.fixture
def circuits(database: Database, clock: SteppingClock) -> Circuits:
    return Circuits(database, clock, ThreadCalculator())


@pytest.fixture
def caller() -> Caller:
    return make_caller()


def ry(*symbols: str) -> list[dict[str, Any]]:
    return [{**RY, "parameters": {"theta": symbol}} for symbol in symbols]


class TestCreate:
    async def test_specification_example(self, circuits: Circuits, caller: Caller) -> None:
        """The specification's example is stored with its counts, its tags and its one parameter."""
        made = await circuits.create(caller, make_circuit_draft())

        assert made == await circuits.get(caller, made.id)
        assert (made.n_qubits, made.depth, made.gate_count, made.version) == (4, 3, 3, 1)
        assert made.parameters == {"theta": {"count": 1}}
        assert made.tags == ["vqe", "chemistry"]
        assert made.circuit_definition["format"] == "unified"
        assert made.circuit_definition["gates"][2] == {**RY, "parameters": {"theta": "theta_0"}}

    async def test_other_spellings_are_stored_in_ours(self, circuits: Circuits, caller: Caller) -> None:
        """A gate in the old library's spelling is stored in the specification's."""
        gates = [{"gate_type": "ry", "qubit": 0, "param": "theta_0"}, {"gate": "cx", "control": 0, "target": 1}]

        made = await circuits.create(caller, make_circuit_draft(gates=gates))

        assert made.circuit_definition["gates"] == [
            {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
            {"type": "CNOT", "targets": [0, 1]},
        ]

    @pytest.mark.parametrize(("gates", "index"), [
        ([{"type": "H", "targets": [0]}, {"type": "WARP", "targets": [0]}], 1),
        ([{"type": "H", "targets": [4]}], 0),
        ([{"type": "CNOT", "targets": [1, 1]}], 0),
        ([{**RY, "parameters": {"theta": "__import__('os')"}}], 0),
        ([{**RY, "parameters": {"theta": float("nan")}}], 0),
    ])  # fmt: skip
    async def test_invalid_gate(self, circuits: Circuits, caller: Caller, gates: list[Any], index: int) -> None:
        """A gate that makes no sense is refused with its place, and nothing is stored."""
        with pytest.raises(InvalidCircuit) as caught:
            await circuits.create(caller, make_circuit_draft(gates=gates))

        assert caught.value.details["index"] == index
        assert await CircuitRow.all().count() == 0

    @pytest.mark.parametrize(("n_qubits", "gates"), [(31, ry("a")), (0, ry("a")), (10**30, ry("a")), (4, [])])
    async def test_invalid_size(self, circuits: Circuits, caller: Caller, n_qubits: int, gates: list[Any]) -> None:
        """31 qubits, none, and no gates at all are refused."""
        with pytest.raises(InvalidCircuit):
            await circuits.create(caller, make_circuit_draft(n_qubits=n_qubits, gates=gates))

    async def test_nul_character(self, circuits: Circuits, caller: Caller) -> None:
        """A text that Postgres cannot hold is refused on both databases."""
        for part in ({"name": "a\x00b"}, {"description": "\x00"}, {"metadata": {"deep": ["\x00"]}}):
            with pytest.raises(ValidationFailed, match="NUL"):
                await circuits.create(caller, make_circuit_draft(**part))

    async def test_written_out_nul_is_text(self, circuits: Circuits, caller: Caller) -> None:
        """A backslash followed by u0000 is six ordinary characters."""
        made = await circuits.create(caller, make_circuit_draft(name="a\\u0000b", metadata={"note": "\\u0000"}))

        assert (await circuits.get(caller, made.id)).name == "a\\u0000b"

    async def test_unicode_survives(self, circuits: Circuits, caller: Caller) -> None:
        """Names in any script, and what looks like markup, come back as they were."""
        name = "Ψ ansatz 量子 <b>'; DROP TABLE circuits; --"

        made = await circuits.create(caller, make_circuit_draft(name=name, metadata={"tags": ["量子", "a,b", "%_"]}))

        assert (await circuits.get(caller, made.id)).name == name
        assert (await circuits.listed(caller, Page(), ["%_"])).total == 1
        assert (await circuits.listed(caller, Page(), ["%"])).total == 0

    async def test_ten_thousand_gates(self, circuits: Circuits, caller: Caller) -> None:
        """The largest circuit is stored, and the loop stays responsive meanwhile."""
        draft = make_circuit_draft(gates=ry(*(f"theta_{index}" for index in range(10_000))))
        turns = 0

        task = asyncio.create_task(circuits.create(caller, draft))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1

        assert (await task).parameters["theta"]["count"] == 10_000
        # Judged in the loop, the draft would leave it a dozen turns, those of the database.
        assert turns > 100

    async def test_viewer_may_not(self, circuits: Circuits) -> None:
        """Viewers read circuits and write none."""
        with pytest.raises(Forbidden):
            await circuits.create(make_caller("viewer"), make_circuit_draft())


class TestParameters:
    @pytest.mark.parametrize(("symbols", "expected"), [
        (["theta_0", "theta_1", "phi_0"], {"theta": {"count": 2}, "phi": {"count": 1}}),
        (["x_0", "x_1", "theta_0"], {"theta": {"count": 1}}),
        (["2*theta_0 + x_3", "theta_0"], {"theta": {"count": 1}}),
        (["alpha", "theta_0_1"], {"alpha": {"count": 1}, "theta_0": {"count": 1}}),
        ([], {}),
    ])  # fmt: skip
    async def test_groups(self, circuits: Circuits, caller: Caller, symbols: list[str], expected: Any) -> None:
        """Weights are grouped by what stands before their number; features are no weights."""
        gates = [*ry(*symbols), {"type": "H", "targets": [0]}]

        made = await circuits.create(caller, make_circuit_draft(gates=gates))

        assert made.parameters == expected

    async def test_initial_values(self, circuits: Circuits, caller: Caller) -> None:
        """Initial values are kept in the order of the symbols' numbers, and survive a change of another group."""
        gates = ry("theta_1", "theta_0")
        sent = {"theta": {"count": 2, "initial_values": [0.1, 2]}}
        made = await circuits.create(caller, make_circuit_draft(gates=gates, parameters=sent))
        assert made.parameters == {"theta": {"count": 2, "initial_values": [0.1, 2.0]}}

        changed = await circuits.update(caller, made.id, CircuitPatch(gates=[*gates, *ry("phi_0")]))

        assert changed.parameters == {"theta": {"count": 2, "initial_values": [0.1, 2.0]}, "phi": {"count": 1}}

    async def test_initial_values_by_symbol(self, circuits: Circuits, caller: Caller) -> None:
        """The old library's table of symbols gives initial values where they are bound."""
        sent = {
            f"theta_{index}": {"name": f"theta_{index}", "value": value, "is_symbolic": value is None}
            for index, value in enumerate([0.5, 0.25])
        }

        made = await circuits.create(caller, make_circuit_draft(gates=ry("theta_0", "theta_1"), parameters=sent))

        assert made.parameters == {"theta": {"count": 2, "initial_values": [0.5, 0.25]}}

    @pytest.mark.parametrize(("sent", "field"), [
        ({"phi": {"initial_values": [1.0]}}, "parameters.phi"),
        ({"theta": {"count": 3}}, "parameters.theta.count"),
        ({"theta": {"count": True}}, "parameters.theta.count"),
        ({"theta": {"initial_values": [1.0]}}, "parameters.theta.initial_values"),
        ({"theta": {"initial_values": [1.0, float("inf")]}}, r"parameters.theta.initial_values\[1\]"),
        ({"theta": {"initial_values": [1.0, "2"]}}, r"parameters.theta.initial_values\[1\]"),
        ({"theta": {"initial_values": [1.0, True]}}, r"parameters.theta.initial_values\[1\]"),
        ({"theta": [1.0, 2.0]}, "parameters.theta"),
        ({"theta": {"extra": 1}}, "parameters.theta"),
        ({"theta_9": {"name": "theta_9", "value": 1.0, "is_symbolic": False}}, "parameters.theta_9"),
        ({"theta_0": {"name": "theta_0", "value": 1.0, "is_symbolic": False}}, "parameters.theta"),
    ])  # fmt: skip
    async def test_refused(self, circuits: Circuits, caller: Caller, sent: Any, field: str) -> None:
        """Unknown groups, wrong counts and values that are no angles are refused by name."""
        with pytest.raises(ValidationFailed, match=field):
            await circuits.create(caller, make_circuit_draft(gates=ry("theta_0", "theta_1"), parameters=sent))


class TestList:
    async def test_pages(self, circuits: Circuits, caller: Caller) -> None:
        """Pages follow each other without overlap, newest first, and tell the total."""
        made = [await circuits.create(caller, make_circuit_draft(name=f"c{index}")) for index in range(5)]

        pages = [await circuits.listed(caller, Page(limit=2, offset=offset)) for offset in (0, 2, 4, 6)]

        assert [item.id for page in pages for item in page.items] == [circuit.id for circuit in reversed(made)]
        assert [page.total for page in pages] == [5, 5, 5, 5]

    async def test_tags(self, circuits: Circuits, caller: Caller) -> None:
        """A list by tags holds what carries any of them, each circuit once."""
        for name, tags in (("a", ["vqe", "old"]), ("b", ["qaoa"]), ("c", ["vqe", "qaoa"]), ("d", [])):
            await circuits.create(caller, make_circuit_draft(name=name, metadata={"tags": tags}))

        async def names(*tags: str) -> str:
            listed = await circuits.listed(caller, Page(sort="name"), list(tags))
            assert listed.total == len(listed.items)
            return "".join(item.name for item in listed.items)

        assert [await names("vqe"), await names("vqe", "qaoa"), await names("none"), await names()] == [
            "ac", "abc", "", "abcd",
        ]  # fmt: skip

    @pytest.mark.parametrize(("sort", "expected"), [("name", "abc"), ("-name", "cba"), ("n_qubits", "cba")])
    async def test_sort(self, circuits: Circuits, caller: Caller, sort: str, expected: str) -> None:
        """A list may be sorted by the columns that are offered."""
        for name, n_qubits in (("b", 3), ("a", 4), ("c", 2)):
            await circuits.create(caller, make_circuit_draft(name=name, n_qubits=n_qubits))

        listed = await circuits.listed(caller, Page(sort=sort))

        assert "".join(item.name for item in listed.items) == expected

    @pytest.mark.parametrize(
        "sort", ["", "-", "organization_id", "circuit_definition", "name; DROP TABLE", "tag_rows__tag"]
    )
    async def test_unknown_sort(self, circuits: Circuits, caller: Caller, sort: str) -> None:
        """No other column is ever sorted by."""
        with pytest.raises(ValidationFailed, match="sort"):
            await circuits.listed(caller, Page(sort=sort))


@pytest.mark.parametrize("id", ["", "\x00", "\ud800", "circuit_", "%", "job_01k9x0000000000000000000000", "x" * 10_000])
async def test_what_is_no_id(circuits: Circuits, caller: Caller, id: str) -> None:
    """A text that can be no circuit's id is not found, whatever the database thinks of it."""
    for verb in (circuits.get(caller, id), circuits.delete(caller, id), circuits.restore(caller, id)):
        with pytest.raises(NotFound):
            await verb


@pytest.mark.parametrize("tag", ["\x00", "\ud800"])
async def test_unstorable_tag(circuits: Circuits, caller: Caller, tag: str) -> None:
    """A tag that no circuit can carry is refused alike on both databases."""
    with pytest.raises(ValidationFailed, match="tags"):
        await circuits.listed(caller, Page(), ["vqe", tag])


class TestUpdate:
    async def test_name_and_tags(self, circuits: Circuits, caller: Caller) -> None:
        """A new name and new tags keep the version and change what lists by tag find."""
        made = await circuits.create(caller, make_circuit_draft())

        changed = await circuits.update(
            caller, made.id, CircuitPatch(name="v2", metadata={"tags": ["new"]}, description="better")
        )

        assert (changed.name, changed.version, changed.description) == ("v2", 1, "better")
        assert changed == await circuits.get(caller, made.id)
        assert (await circuits.listed(caller, Page(), ["vqe"])).total == 0
        assert (await circuits.listed(caller, Page(), ["new"])).total == 1
        assert await CircuitTagRow.all().count() == 1

    async def test_gates_make_a_version(self, circuits: Circuits, caller: Caller) -> None:
        """Other gates make version 2 with their own counts."""
        made = await circuits.create(caller, make_circuit_draft())

        changed = await circuits.update(caller, made.id, CircuitPatch(gates=ry("phi_0", "phi_1")))

        assert (changed.version, changed.gate_count, changed.depth) == (2, 2, 2)
        assert changed.parameters == {"phi": {"count": 2}}

    async def test_fewer_qubits_than_the_gates_need(self, circuits: Circuits, caller: Caller) -> None:
        """A patch that would break the stored gates is refused with the gate, and changes nothing."""
        made = await circuits.create(caller, make_circuit_draft())

        with pytest.raises(InvalidCircuit) as caught:
            await circuits.update(caller, made.id, CircuitPatch(name="broken", n_qubits=1))

        assert caught.value.details["index"] == 1
        assert await circuits.get(caller, made.id) == made

    async def test_bad_initial_values_change_nothing(self, circuits: Circuits, caller: Caller) -> None:
        """A patch that is refused half-way is rolled back as a whole."""
        made = await circuits.create(caller, make_circuit_draft())
        patch = CircuitPatch(metadata={"tags": ["new"]}, parameters={"theta": {"count": 7}})

        with pytest.raises(ValidationFailed):
            await circuits.update(caller, made.id, patch)

        assert await circuits.get(caller, made.id) == made
        assert (await circuits.listed(caller, Page(), ["vqe"])).total == 1

    async def test_parallel_versions(self, circuits: Circuits, caller: Caller) -> None:
        """Ten changes at once make ten versions, none lost."""
        made = await circuits.create(caller, make_circuit_draft())
        patches = [CircuitPatch(gates=ry(*["theta_0"] * (index + 1))) for index in range(10)]

        await asyncio.gather(*(circuits.update(caller, made.id, patch) for patch in patches))

        assert (await circuits.get(caller, made.id)).version == 11


class TestDelete:
    async def test_vanishes_and_comes_back(self, circuits: Circuits, caller: Caller) -> None:
        """A deleted circuit is in no answer, and restoring it brings it back with its tags."""
        made = await circuits.create(caller, make_circuit_draft())

        await circuits.delete(caller, made.id)

        with pytest.raises(NotFound):
            await circuits.get(caller, made.id)
        with pytest.raises(NotFound):
            await circuits.update(caller, made.id, CircuitPatch(name="ghost"))
        with pytest.raises(NotFound):
            await circuits.delete(caller, made.id)
        assert (await circuits.listed(caller, Page(), ["vqe"])).total == 0
        assert await circuits.restore(caller, made.id) == made
        assert (await circuits.listed(caller, Page(), ["vqe"])).total == 1

    async def test_too_late(self, circuits: Circuits, caller: Caller, clock: SteppingClock) -> None:
        """After a day a deleted circuit is gone, and its space with the next sweep."""
        made, kept = [await circuits.create(caller, make_circuit_draft()) for _ in range(2)]
        await circuits.delete(caller, made.id)
        assert await circuits.purge() == 0
        clock.advance(hours=24)

        with pytest.raises(NotFound):
            await circuits.restore(caller, made.id)

        assert await circuits.purge() == 1
        assert [row.id for row in await CircuitRow.all()] == [kept.id]
        assert await CircuitTagRow.all().count() == 2

    @pytest.mark.parametrize("status", ["queued", "running", "paused"])
    async def test_live_job(self, circuits: Circuits, caller: Caller, status: str) -> None:
        """A circuit that a live job trains stays, and the answer names the job."""
        made = await circuits.create(caller, make_circuit_draft())
        job = await make_job_row(caller, circuit_id=made.id, status=status)

        with pytest.raises(Conflict) as caught:
            await circuits.delete(caller, made.id)

        assert caught.value.details == {"job_id": job.id}

    async def test_deployed_model(self, circuits: Circuits, caller: Caller) -> None:
        """A circuit that a deployed model computes stays until the model is retired."""
        made = await circuits.create(caller, make_circuit_draft())
        model = await make_model_row(caller, circuit_id=made.id, status="deployed")
        with pytest.raises(Conflict) as caught:
            await circuits.delete(caller, made.id)
        assert caught.value.details == {"model_id": model.id}

        model.status = "retired"
        await model.save()

        await circuits.delete(caller, made.id)

    async def test_finished_jobs_do_not_matter(self, circuits: Circuits, caller: Caller) -> None:
        """Jobs that have ended, and other organizations' jobs, keep no circuit alive."""
        made = await circuits.create(caller, make_circuit_draft())
        await make_job_row(caller, circuit_id=made.id, status="completed")
        await make_job_row(make_caller(), circuit_id=made.id, status="running")

        await circuits.delete(caller, made.id)

    async def test_somebody_elses(self, circuits: Circuits, caller: Caller) -> None:
        """A developer deletes their own circuits, an admin also those of others."""
        made = await circuits.create(caller, make_circuit_draft())
        colleague = make_caller("developer", organization_id=caller.organization_id)
        admin = make_caller("admin", organization_id=caller.organization_id)

        with pytest.raises(Forbidden):
            await circuits.delete(colleague, made.id)

        await circuits.delete(admin, made.id)


class TestFormats:
    QASM = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta_0;\nqubit[2] q;\nh q[0];\ncrx(2*theta_0) q[0], q[1];\n'

    async def test_a_text_becomes_a_stored_circuit(self, circuits: Circuits, caller: Caller) -> None:
        """A program is stored in our spelling, with its symbols as parameters and the tags that it was given."""
        draft = CircuitImport(name="from Qiskit", format="qasm3", source=self.QASM, metadata={"tags": ["qiskit"]})

        made = await circuits.import_from(caller, draft)

        assert made == await circuits.get(caller, made.id)
        assert (made.n_qubits, made.gate_count, made.tags) == (2, 2, ["qiskit"])
        assert made.parameters == {"theta": {"count": 1}}
        assert made.circuit_definition["gates"][1] == {
            "type": "CRX", "targets": [0, 1], "parameters": {"theta": "2*theta_0"},
        }  # fmt: skip

    @pytest.mark.parametrize("format", get_args(Format))
    async def test_every_format_comes_back(self, circuits: Circuits, caller: Caller, format: Format) -> None:
        """What is written in a format can be imported from it again."""
        gates = [{"type": "H", "targets": [0]}, {"type": "RZ", "targets": [1], "parameters": {"theta": 0.5}}]
        made = await circuits.create(caller, make_circuit_draft(gates=gates, n_qubits=2))

        written = await circuits.written(caller, made.id, format)
        again = await circuits.import_from(caller, CircuitImport(name="again", format=format, source=written))

        assert again.n_qubits == 2
        assert again.gate_count >= 2

    async def test_a_wrong_text_stores_nothing(self, circuits: Circuits, caller: Caller) -> None:
        """The refusal says where; nothing is stored."""
        with pytest.raises(InvalidCircuit) as caught:
            await circuits.import_from(
                caller, CircuitImport(name="x", format="qasm3", source=self.QASM + "warp q[0];\n")
            )

        assert (caught.value.details["line"], caught.value.details["index"]) == (7, 2)
        assert await CircuitRow.all().count() == 0

    async def test_others_circuits_are_not_written(self, circuits: Circuits, caller: Caller) -> None:
        """Another organization's circuit is not there in any format."""
        made = await circuits.create(make_caller(organization_id="org_other"), make_circuit_draft())

        with pytest.raises(NotFound):
            await circuits.written(caller, made.id, "qasm3")


async def test_several_at_once(circuits: Circuits, caller: Caller) -> None:
    """Several circuits by id come in one read, with their gates or without; others' and nonsense are left out."""
    made = [await circuits.create(caller, make_circuit_draft(name=name)) for name in ("a", "b")]
    gone = await circuits.create(caller, make_circuit_draft())
    theirs = await circuits.create(make_caller(), make_circuit_draft())
    await circuits.delete(caller, gone.id)
    wanted = [*(one.id for one in made), gone.id, theirs.id, "x", "\x00"]

    assert await circuits.several(caller, wanted) == {one.id: one for one in made}
    heads = await circuits.heads(caller, wanted)
    assert {id: (head.name, head.gate_count, head.tags) for id, head in heads.items()} == {
        one.id: (one.name, 3, ["vqe", "chemistry"]) for one in made
    }
    with pytest.raises(Forbidden):
        await circuits.heads(make_caller(scopes=frozenset({"jobs:read"})), wanted)
