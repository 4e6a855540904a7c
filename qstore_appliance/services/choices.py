"""Which backend a job gets: the one that it names, the user's, or the fastest that can take it; and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qstore_appliance.domain.accounts import Allowance, Caller
from qstore_appliance.domain.backends import BackendStatus, Choice, Window, spoken
from qstore_appliance.engine import machine_speed
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.discovery import Description
from qstore_appliance.engine.noise import Noise
from qstore_appliance.errors import (
    BackendCannot,
    BackendUnavailable,
    Forbidden,
    HardwareForbidden,
    InsufficientMemory,
    QStoreError,
)
from qstore_appliance.services.machine import memory_available
from qstore_appliance.services.probes import Probes

AUTO = "auto"
#: Backends that were passed over and are told of by name, and letters of what is told of each.
MAX_TOLD = 3
MAX_WHY = 160


class Choices(Probes):
    """What `Backends` does when a job comes."""

    async def pick(
        self,
        organization: Allowance,
        wanted: str | None,
        preferences: Mapping[str, Any],
        circuit: Circuit,
        shots: int | None,
        noise: Noise | None = None,
    ) -> tuple[str, str]:
        """The backend to use, and what "auto" would have taken: `choose` for whom the reason is no matter."""
        found = await self.choose(organization, wanted, preferences, circuit, shots, noise=noise)
        return found.backend, found.auto

    async def choose(
        self,
        organization: Allowance,
        wanted: str | None,
        preferences: Mapping[str, Any],
        circuit: Circuit,
        shots: int | None,
        gpus: int = 0,
        noise: Noise | None = None,
    ) -> Choice:
        """
        The backend to use, what "auto" would have taken, and why.

        A named backend is used or refused, never replaced; in maintenance it is accepted, and the job waits. A preference
        is tried first and passed over where it cannot.

        Args:
            gpus: More than 0 lets "auto" prefer a backend with a graphics card.

        Raises:
            NotFound: No backend has the wanted name.
            Forbidden: The organization does not allow it.
            BackendUnavailable: It does not work on this machine; the reason is the plugin's.
            InsufficientMemory: Its state is larger than the memory, or for "auto" than that of any that could run it.
            BackendCannot: It cannot run this circuit, or has no such noise; or for "auto" none can.
            ValidationFailed: `config.noise.model`: the named backend has models, but none of this name.
        """
        job = _Asked(organization, circuit, shots, gpus, noise, await self._maintenance.next_of_all())
        if wanted is not None and wanted != AUTO:
            await self._check(wanted, job)
            try:
                auto, _ = await self._fastest(job)
            except QStoreError:
                auto = wanted
            return self._named(f"The job names {wanted}", wanted, auto, job)
        preferred = preferences.get("default_backend")
        passed: list[tuple[str, str]] = []
        if wanted is None and isinstance(preferred, str) and preferred in self._names:
            try:
                await self._check(preferred, job)
            except QStoreError as error:
                passed.append((f"{preferred}, the user's default backend", error.message))
            else:
                auto, _ = await self._fastest(job)
                return self._named(f"{preferred} is the user's default backend", preferred, auto, job)
        auto, reason = await self._fastest(job, passed)
        return Choice(backend=auto, auto=auto, reason=reason)

    @property
    def names(self) -> tuple[str, ...]:
        """Of every backend that is installed, whether it works or not."""
        return tuple(self._names)

    async def refuse_tests(self, caller: Caller, name: str) -> None:
        """
        Before a job that was accepted goes on or gets more money, or a model that is deployed is asked.

        Raises:
            HardwareForbidden: The caller's API key is for tests, and the backend is hardware.
        """
        if caller.for_tests and (await self._settled(name)).kind == "hardware":
            raise _only_tests(name)

    def has_card(self, name: str) -> bool:
        """Whether the backend computes on a graphics card, here or on another machine."""
        return _has_gpu(self._described.get(name)) or self.fleet.elsewhere(name, gpu=True) is not None

    async def in_service(self, names: tuple[str, ...]) -> list[str]:
        """These names, those that are in maintenance or degraded behind the others."""
        windows, now = await self._maintenance.next_of_all(), self._clock.now()
        return sorted(names, key=lambda name: self._out_of_service(name, windows.get(name), now) is not None)

    # Inside ------------------------------------------------------------------------------------------------------

    async def _fastest(self, job: _Asked, passed: list[tuple[str, str]] | None = None) -> tuple[str, str]:
        """What "auto" takes, and the sentence that says why. Args: passed: What was passed over before, and why."""
        passed = list(passed or ())
        known = len(passed)
        too_large: list[InsufficientMemory] = []
        for name in await self._order(job):
            try:
                found = await self._check(name, job)
            except QStoreError as error:
                passed.append((name, error.message))
                too_large += [error] if isinstance(error, InsufficientMemory) else []
                continue
            can = found.capabilities
            # A circuit leaves this machine only when somebody says so.
            if found.kind != "simulator" or can is None or can.remote:
                continue
            out = self._out_of_service(name, job.windows.get(name), self._clock.now())
            if out is not None:
                passed.append((name, out))
                continue
            return name, self._why_auto(name, found, job, passed)
        if too_large:
            raise min(too_large, key=lambda error: int(error.details["needed_bytes"]))
        refusals = [f"{name}: {why}" for name, why in passed[known:]]
        raise BackendCannot("No simulator can run this. " + " ".join(refusals), details={"reasons": refusals})

    async def _order(self, job: _Asked) -> list[str]:
        names = machine_speed.auto_order(job.circuit.n_qubits, self._names)
        if not job.gpus:
            return names
        await self._all_settled()
        return sorted(names, key=lambda name: not self.has_card(name))

    async def _check(self, name: str, job: _Asked) -> Description:
        organization = job.organization
        allowed = organization.allowed_backends
        if name in self._names and allowed is not None and name not in allowed:
            raise Forbidden(f"Your organization does not allow the backend {name}.", details={"backend": name})
        found = await self._settled(name)
        wants_card = job.gpus > 0 and not _has_gpu(found)
        if not found.available or wants_card:
            found = self.fleet.elsewhere(name, gpu=wants_card) or found
        window = job.windows.get(name)
        # That it does not answer while somebody works on it is planned: the job waits for the end of that.
        planned = window is not None and window.covers(self._clock.now())
        if found.capabilities is None or not (found.available or planned):
            raise BackendUnavailable(f"The backend {name} is not available: {found.reason}")
        if found.kind == "hardware":
            _check_hardware(name, organization)
        _check_fit(found, job.circuit, job.shots, job.noise, self.fleet.memory(name))
        return found

    def _out_of_service(self, name: str, window: Window | None, now: datetime) -> str | None:
        """Why "auto" leaves a backend alone that would work."""
        if window is not None and window.covers(now):
            return f"It is in maintenance until {spoken(window.end)}."
        why = self._why_degraded(name)
        return None if why is None else f"It is degraded: {why}"

    def _why_degraded(self, name: str) -> str | None:
        """What a running job has found wrong with the backend's provider, here or on another machine."""
        return self._degraded.get(name) or self.fleet.degraded(name)

    def _state(
        self, name: str, window: Window | None, now: datetime, *, first_hand: bool = False
    ) -> tuple[BackendStatus, str | None]:
        """
        Its status, and why it is not available.

        Args:
            first_hand: What jobs on other machines have found does not count.
        """
        found = self._shown(name)
        if window is not None and window.covers(now):
            note = "" if window.note is None else f" {window.note}"
            return BackendStatus.MAINTENANCE, f"In maintenance until {spoken(window.end)}.{note}"
        if found is None:
            return BackendStatus.STARTING, "It is being probed."
        if not found.available:
            return BackendStatus.UNAVAILABLE, found.reason
        why = self._degraded.get(name) if first_hand else self._why_degraded(name)
        if why is not None:
            return BackendStatus.DEGRADED, why
        return BackendStatus.AVAILABLE, None

    def _named(self, because: str, name: str, auto: str, job: _Asked) -> Choice:
        """A backend that somebody wanted, with the beginning of the sentence that says who."""
        window = job.windows.get(name)
        if window is not None and window.covers(self._clock.now()):
            reason = f"{because}; it waits for the maintenance there to end at {spoken(window.end)}."
            return Choice(backend=name, auto=auto, reason=reason, not_before=window.end)
        why = self._why_degraded(name)
        if why is not None:
            because = f"{because}, which is degraded: {_within(why)}"
        return Choice(backend=name, auto=auto, reason=f"{because}.")

    def _why_auto(self, name: str, found: Description, job: _Asked, passed: list[tuple[str, str]]) -> str:
        measured = machine_speed.load()
        size = f"{job.circuit.n_qubits} qubit{'' if job.circuit.n_qubits == 1 else 's'}"
        if measured is not None and name in measured.speeds:
            said = f"{name} is the fastest that was measured on this machine for {size}"
        elif measured is not None and measured.speeds:
            said = f"{name} is the first that can run it, none of those that were measured on this machine can"
        else:
            said = f"{name} is the first that can run it; speeds have not been measured on this machine yet"
        if job.gpus and _has_gpu(found):
            said = f"{name} has the GPU that the job asks for"
        elif job.gpus:
            said += "; the job asks for a GPU, and no simulator here that can run it has one"
        if passed:
            told = [f"{one} ({_within(why)})" for one, why in passed[:MAX_TOLD]]
            more = f" and {len(passed) - MAX_TOLD} more" if len(passed) > MAX_TOLD else ""
            said = f"Of those that can take it now, {said}; passed over {', '.join(told)}{more}"
        return f"{said}."


class _Asked:
    """What a job asks of a backend, and the maintenance windows at that moment."""

    def __init__(
        self,
        organization: Allowance,
        circuit: Circuit,
        shots: int | None,
        gpus: int,
        noise: Noise | None,
        windows: Mapping[str, Window],
    ) -> None:
        self.organization = organization
        self.circuit = circuit
        self.shots = shots
        self.gpus = gpus
        self.noise = noise
        self.windows = windows


def _check_hardware(name: str, organization: Allowance) -> None:
    if organization.for_tests:
        raise _only_tests(name)
    if not organization.enable_hardware:
        raise HardwareForbidden(
            f"Your organization has not enabled hardware, which {name} is.", details={"backend": name}
        )


def _only_tests(name: str) -> HardwareForbidden:
    return HardwareForbidden(f"This API key is for tests, and {name} is hardware.", details={"backend": name})


def _has_gpu(found: Description | None) -> bool:
    return found is not None and found.capabilities is not None and found.capabilities.gpu


def _within(sentence: str) -> str:
    """A sentence as a part of another one."""
    text = " ".join(sentence.split()).rstrip(".")
    text = text[:MAX_WHY] + "…" if len(text) > MAX_WHY else text
    return text[:1].lower() + text[1:] if text[:3] in ("It ", "The") else text


def _check_fit(found: Description, circuit: Circuit, shots: int | None, noise: Noise | None, elsewhere: int) -> None:
    """Args: elsewhere: Bytes of memory of the largest other machine where the backend works."""
    can = found.capabilities
    if can is None:
        raise BackendUnavailable(f"The backend {found.name} is not available: {found.reason}")
    # Before the bound on qubits: where memory is the reason, it is said, with how much there would have to be.
    needed, available = can.memory_needed(circuit.n_qubits), can.memory_bytes
    available = max(memory_available(), elsewhere) if available is None else available
    if needed > available:
        raise InsufficientMemory(
            f"{circuit.n_qubits} qubits need at least {needed:,} bytes of memory on {found.name}; "
            f"{available:,} are available.",
            details={"needed_bytes": needed, "available_bytes": available},
        )
    if circuit.n_qubits > can.max_qubits:
        raise BackendCannot(
            f"{found.name} takes at most {can.max_qubits} qubits on this machine; the circuit has {circuit.n_qubits}."
        )
    if can.max_depth is not None and circuit.depth > can.max_depth:
        raise BackendCannot(f"{found.name} takes circuits up to depth {can.max_depth}; this one has {circuit.depth}.")
    unknown = sorted({gate.name for gate in circuit.gates} - set(can.gates))
    if unknown:
        raise BackendCannot(f"{found.name} does not know {', '.join(unknown)}.", details={"gates": unknown})
    if shots is None and not can.exact:
        raise BackendCannot(f"{found.name} measures; say how many shots.")
    if shots is not None and not can.shots:
        raise BackendCannot(f"{found.name} computes exactly and takes no shots.")
    if noise is not None:
        noise.check(found.name, can.noise, can.noise_models)
