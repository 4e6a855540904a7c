"""Backends: probed apart, priced by the operator, picked or refused with a reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.domain.accounts import Allowance, Role
from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Capabilities, Prices
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.discovery import Description
from qstore_appliance.engine.noise import Noise
from qstore_appliance.errors import (
    BackendCannot,
    BackendUnavailable,
    ConfigurationInvalid,
    Forbidden,
    HardwareForbidden,
    InsufficientMemory,
    NotFound,
    QStoreError,
    ValidationFailed,
    WorkerCrash,
)
from qstore_appliance.services import choices
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, make_caller

LAB = Allowance()
CIRCUIT = Circuit.build(2, [Gate("H", (0,), ()), Gate("CNOT", (0, 1), ())])


class Plugins:
    """A `Calculator` that describes backends which are not installed."""

    def __init__(self, **described: Description | Exception) -> None:
        self.described = described
        self.options: dict[str, Any] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        assert function == "qstore_appliance.engine.discovery:describe"
        name, self.options[args[0]] = args[0], args[1]
        await self.gate.wait()
        found = self.described[name]
        if isinstance(found, Exception):
            raise found
        return found


def described(name: str, kind: str = "simulator", **changes: Any) -> Description:
    can: dict[str, Any] = {
        "max_qubits": 4,
        "max_depth": 10,
        "gates": ("H", "CNOT", "RY"),
        "exact": True,
        "shots": True,
        "adjoint": True,
        "statevector": True,
    }
    beside = {key: changes.pop(key) for key in ("available", "reason", "prices", "limits") if key in changes}
    values: dict[str, Any] = {"available": True, **beside}
    return Description(name=name, kind=kind, provider="lab", capabilities=Capabilities(**{**can, **changes}), **values)


@pytest.fixture
def build(database: Database, settings: Settings, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Backends of an installation with these plugins."""

    def make(options: dict[str, dict[str, object]] | None = None, **plugins: Description | Exception) -> Backends:
        monkeypatch.setattr(discovery, "names", lambda: sorted(plugins))
        configured = Settings(data_dir=settings.data_dir, database=settings.database, backends=options or {})
        backends = Backends(database, Plugins(**plugins), configured, clock, Costs(database, clock))
        backends.calculator_for_test = backends._calculator  # type: ignore[attr-defined]
        return backends

    return make


async def test_broken_plugins_are_listed_with_their_reason(build: Any) -> None:
    """A plugin that crashes its process, or says that it cannot, is unavailable; the others are not touched."""
    backends = build(
        native=described("native"),
        lightning=WorkerCrash("The worker process was killed by SIGSEGV."),
        qsim=described(
            "qsim", available=False, reason="The backend qsim needs the package qsimcirq, which is missing."
        ),
    )

    found = {record.name: record for record in await backends.listed(make_caller(Role.VIEWER))}

    assert list(found) == ["native", "lightning", "qsim"]
    assert (found["native"].status, found["native"].reason) == ("available", None)
    assert (found["lightning"].status, found["lightning"].reason) == (
        "unavailable",
        "The worker process was killed by SIGSEGV.",
    )
    assert "qsimcirq" in str(found["qsim"].reason)
    assert [record.name for record in await backends.listed(make_caller(), "available")] == ["native"]
    await backends.close()


async def test_backend_is_starting_until_it_is_probed(build: Any) -> None:
    """While the first probe runs the list says so, and whoever wants the backend waits for it."""
    backends = build(native=described("native"))
    backends.calculator_for_test.gate.clear()
    await backends.start()
    picking = asyncio.create_task(backends.pick(LAB, "native", {}, CIRCUIT, None))
    await asyncio.sleep(0.01)

    early = (await backends.listed(make_caller()))[0].status
    backends.calculator_for_test.gate.set()

    assert early == "starting"
    assert await picking == ("native", "native")
    await backends.close()


async def test_list_does_not_wait_for_a_server_that_probes_later(build: Any) -> None:
    """A server is asked before its first probe has begun: the list says "starting" at once."""
    backends = build(native=described("native"))
    await backends.start(after=asyncio.Event().wait)

    (record,) = await asyncio.wait_for(backends.listed(make_caller()), 10.0)

    assert record.status == "starting"
    await backends.close()


async def test_who_gives_up_waiting_does_not_end_the_round(build: Any) -> None:
    """A client that hangs up while it waits for the list leaves the probes of all backends running."""
    backends = build(native=described("native"), qsim=described("qsim"))
    backends.calculator_for_test.gate.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(backends.listed(make_caller()), 0.05)
    backends.calculator_for_test.gate.set()

    found = await asyncio.wait_for(backends.listed(make_caller()), 10.0)
    await asyncio.wait_for(backends.probed(), 10.0)

    assert [record.name for record in found] == ["native", "qsim"]
    assert {record.status for record in await backends.listed(make_caller())} == {"available"}
    await backends.close()


async def test_auto_takes_the_fastest_that_fits(build: Any) -> None:
    """ "auto" goes through the simulators from the fastest on, and never takes hardware."""
    backends = build(
        ionq_hardware=described("ionq_hardware", "hardware", max_qubits=30),
        native=described("native", max_qubits=1),
        qsim=described("qsim"),
    )

    assert await backends.pick(LAB, "auto", {}, CIRCUIT, None) == ("qsim", "qsim")
    assert await backends.pick(LAB, None, {}, CIRCUIT, None) == ("qsim", "qsim")
    await backends.close()


async def test_preference_is_tried_first(build: Any) -> None:
    """A user's default backend is taken where nothing is named and it fits, else "auto" decides."""
    backends = build(native=described("native"), qsim=described("qsim"), tiny=described("tiny", max_qubits=1))

    assert await backends.pick(LAB, None, {"default_backend": "qsim"}, CIRCUIT, None) == ("qsim", "native")
    assert await backends.pick(LAB, None, {"default_backend": "tiny"}, CIRCUIT, None) == ("native", "native")
    assert await backends.pick(LAB, "auto", {"default_backend": "qsim"}, CIRCUIT, None) == ("native", "native")
    await backends.close()


@pytest.mark.parametrize(
    ("plugin", "shots", "error", "says"),
    [
        (described("b", max_qubits=1), None, BackendCannot, "at most 1 qubits"),
        (described("b", max_depth=1), None, BackendCannot, "depth 1"),
        (described("b", gates=("H",)), None, BackendCannot, "does not know CNOT"),
        (described("b", exact=False), None, BackendCannot, "say how many shots"),
        (described("b", shots=False), 100, BackendCannot, "takes no shots"),
        (described("b", available=False, reason="It sleeps."), None, BackendUnavailable, "It sleeps."),
        (described("b", "hardware"), 100, Forbidden, "has not enabled hardware"),
    ],
)
async def test_named_backend_is_used_or_refused(
    build: Any, plugin: Description, shots: int | None, error: type[QStoreError], says: str
) -> None:
    """A named backend that cannot is refused with the reason, though another one could."""
    backends = build(native=described("native"), b=plugin)

    with pytest.raises(error, match=says):
        await backends.pick(LAB, "b", {}, CIRCUIT, shots)
    await backends.close()


LARGE = Circuit.build(30, [Gate("H", (0,))])


async def test_memory_is_a_reason_of_its_own(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state larger than the memory is refused with both numbers, whatever bound on qubits the backend has beside."""
    monkeypatch.setattr(choices, "memory_available", lambda: 2**31)
    backends = build(
        native=described("native", max_qubits=28, precisions=("single", "double"), state_bytes=(8, 16)),
        card=described("card", max_qubits=30, gpu=True, state_bytes=(16,), memory_bytes=2**33),
        bounded=described("bounded", max_qubits=4, state_bytes=(1,)),
    )

    for name, each, available in (("native", 8, 2**31), ("card", 16, 2**33)):
        with pytest.raises(InsufficientMemory) as refused:
            await backends.pick(LAB, name, {}, LARGE, None)
        assert refused.value.details == {"needed_bytes": each * 2**30, "available_bytes": available}
    with pytest.raises(BackendCannot, match="at most 4 qubits"):
        await backends.pick(LAB, "bounded", {}, LARGE, None)
    await backends.close()


async def test_auto_says_how_much_memory_would_do(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory keeps a circuit from every simulator that could run it, the least that would do is said."""
    monkeypatch.setattr(choices, "memory_available", lambda: 2**31)
    backends = build(
        native=described("native", max_qubits=30, state_bytes=(16,)),
        qsim=described("qsim", max_qubits=30, state_bytes=(8,)),
        tiny=described("tiny", max_qubits=3),
    )

    with pytest.raises(InsufficientMemory) as refused:
        await backends.pick(LAB, "auto", {}, LARGE, None)
    assert refused.value.details == {"needed_bytes": 2**33, "available_bytes": 2**31}

    monkeypatch.setattr(choices, "memory_available", lambda: 2**33)
    assert await backends.pick(LAB, "auto", {}, LARGE, None) == ("qsim", "qsim")
    await backends.close()


async def test_organizations_decide_what_they_allow(build: Any) -> None:
    """An allow-list leaves the others out; hardware is used by name once it is enabled."""
    backends = build(native=described("native"), qsim=described("qsim"), ionq=described("ionq", "hardware"))
    only = Allowance(allowed_backends=["qsim"])
    hardware = Allowance(enable_hardware=True)

    with pytest.raises(Forbidden):
        await backends.pick(only, "native", {}, CIRCUIT, None)
    with pytest.raises(NotFound):
        await backends.pick(LAB, "abacus", {}, CIRCUIT, None)
    assert await backends.pick(only, None, {}, CIRCUIT, None) == ("qsim", "qsim")
    assert await backends.pick(hardware, "ionq", {}, CIRCUIT, 100) == ("ionq", "native")
    await backends.close()


async def test_hardware_is_off_unless_somebody_turns_it_on(build: Any) -> None:
    """Without `enable_hardware` it is refused by a code of its own, and for an API key of tests also with it."""
    backends = build(native=described("native"), ionq=described("ionq", "hardware"))
    for settings in (LAB, Allowance(), Allowance(for_tests=True), Allowance(enable_hardware=True, for_tests=True)):
        with pytest.raises(HardwareForbidden) as refused:
            await backends.pick(settings, "ionq", {}, CIRCUIT, 100)
        assert refused.value.details == {"backend": "ionq"}
        assert await backends.pick(settings, None, {"default_backend": "ionq"}, CIRCUIT, 100) == ("native", "native")
    assert await backends.pick(Allowance(enable_hardware=True), "ionq", {}, CIRCUIT, 100) == ("ionq", "native")
    await backends.close()


async def test_auto_keeps_circuits_here(build: Any) -> None:
    """A simulator that runs elsewhere is used where it is named, and never taken by "auto"."""
    backends = build(ionq_simulator=described("ionq_simulator", remote=True), qsim=described("qsim", max_qubits=1))
    one = Circuit.build(1, [Gate("H", (0,))])

    assert await backends.pick(LAB, None, {}, one, None) == ("qsim", "qsim")
    assert await backends.pick(LAB, "ionq_simulator", {}, CIRCUIT, None) == ("ionq_simulator", "ionq_simulator")
    with pytest.raises(BackendCannot):
        await backends.pick(LAB, None, {}, CIRCUIT, None)


async def test_noise_picks_its_backend(build: Any) -> None:
    """ "auto" passes over who cannot do it; a named one is refused with what it has; models are known by name."""
    backends = build(
        native=described("native", noise=("readout",)),
        qsim=described("qsim", noise=("depolarizing", "amplitude_damping", "readout")),
        ionq_simulator=described("ionq_simulator", remote=True, noise_models=("ideal", "aria-1")),
    )
    readout, gates, model = (
        Noise.of(config) for config in ({"readout": 0.1}, {"readout": 0.1, "depolarizing": 0.1}, {"model": "aria-1"})
    )

    assert await backends.pick(LAB, None, {}, CIRCUIT, 10, readout) == ("native", "native")
    assert await backends.pick(LAB, None, {}, CIRCUIT, 10, gates) == ("qsim", "qsim")
    assert await backends.pick(LAB, None, {"default_backend": "native"}, CIRCUIT, 10, gates) == ("qsim", "qsim")
    picked = await backends.pick(LAB, "ionq_simulator", {}, CIRCUIT, 10, model)
    assert picked == ("ionq_simulator", "ionq_simulator")
    with pytest.raises(BackendCannot, match="native has only readout, not depolarizing"):
        await backends.pick(LAB, "native", {}, CIRCUIT, 10, gates)
    with pytest.raises(BackendCannot, match="no noise channels"):
        await backends.pick(LAB, "ionq_simulator", {}, CIRCUIT, 10, readout)
    with pytest.raises(BackendCannot, match="qsim has no noise models"):
        await backends.pick(LAB, "auto", {}, CIRCUIT, 10, model)
    with pytest.raises(ValidationFailed, match="it has ideal, aria-1") as refused:
        await backends.pick(LAB, "ionq_simulator", {}, CIRCUIT, 10, Noise.of({"model": "aria-9"}))
    assert refused.value.details["errors"][0]["field"] == "config.noise.model"
    await backends.close()


async def test_operators_prices_stand_over_the_plugins(build: Any) -> None:
    """Prices of `[backends.<name>]` are dollars, replace the plugin's one by one, and are not handed to it."""
    backends = build(
        {"qsim": {"per_circuit": 0.001, "threads": 2}},
        qsim=described("qsim", prices=Prices(per_circuit=5, per_shot=7, minimum_charge=10_000)),
    )
    await backends.listed(make_caller())

    assert backends.prices("qsim") == Prices(per_circuit=1_000, per_shot=7, minimum_charge=10_000)
    assert backends.price("qsim", 1, 0) == 10_000
    assert backends.price("qsim", 100, 10) == 100_070
    assert backends.price("qsim", 0, 0) == 0
    assert backends.calculator_for_test.options["qsim"] == {"threads": 2}
    await backends.close()


async def test_price_that_makes_no_sense(build: Any) -> None:
    """A price that is no amount of dollars is refused at the start, with its key."""
    with pytest.raises(ConfigurationInvalid, match=r"backends\.native\.per_shot"):
        build({"native": {"per_shot": "much"}}, native=described("native"))


async def test_prices_and_where_they_come_from(build: Any) -> None:
    """Each price is listed with its origin; of a plugin that did not load only what the operator wrote is known."""
    backends = build(
        {"qsim": {"per_circuit": 0.001}, "broken": {"per_shot": 0.5}},
        qsim=described("qsim", prices=Prices(per_circuit=5, per_shot=7)),
        broken=WorkerCrash("It crashed."),
    )

    (qsim,) = await backends.price_list(make_caller(), "qsim")
    everything = await backends.price_list(make_caller())

    assert (qsim.per_circuit, qsim.per_shot, qsim.minimum_charge) == (1_000, 7, 0)
    assert qsim.origins == {
        "per_circuit": "qstore.toml",
        **dict.fromkeys(("per_shot", "minimum_charge", "per_cpu_second", "per_gpu_second"), "plugin"),
    }
    broken = next(one for one in everything if one.name == "broken")
    assert (broken.per_circuit, broken.per_shot, broken.origins) == (None, 500_000, {"per_shot": "qstore.toml"})
    with pytest.raises(NotFound):
        await backends.price_list(make_caller(), "abacus")
    await backends.close()


@pytest.mark.parametrize("key", ["max_concurrent_jobs", "max_circuits_per_request", "rate_limit_per_hour"])
async def test_limit_that_makes_no_sense(build: Any, key: str) -> None:
    """A limit that is no whole number is refused at the start, with its key."""
    with pytest.raises(ConfigurationInvalid, match=rf"backends\.native\.{key}"):
        build({"native": {key: 0}}, native=described("native"))


async def test_one_backend_by_its_id(build: Any) -> None:
    """A backend has a stable id; another id is not found."""
    backends = build(native=described("native"))
    await backends.listed(make_caller())

    assert (await backends.status(make_caller(), "backend_native_001")).name == "native"
    with pytest.raises(NotFound):
        await backends.status(make_caller(), "backend_qsim_001")
    await backends.close()
