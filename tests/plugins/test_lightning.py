"""Lightning on a graphics card: used where it can be, and a stated reason where it cannot."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Backend
from qstore_appliance.engine.training import Plan, Training
from qstore_appliance.errors import BackendUnavailable

cuda = pytest.importorskip("qstore_backends.cuda")
lightning = pytest.importorskip("qstore_backends.lightning")


class Driver:
    """NVIDIA's driver as its manual has it: every function answers a code and writes through pointers."""

    def __init__(self, init: int = 0, devices: int = 1, words: bytes | None = b"no CUDA-capable device is detected"):
        self.init, self.devices, self.words = init, devices, words

    def cuInit(self, flags: int) -> int:
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.devices
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:
        device._obj.value = ordinal
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = b"NVIDIA H100 80GB HBM3"
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        memory._obj.value = 85_045_149_696
        return 0

    def cuGetErrorString(self, code: int, text: Any) -> int:
        text._obj.value = self.words
        return 0 if self.words else 1


def no_library(name: str) -> Any:
    return ctypes.CDLL(f"no-{name}")


def test_the_first_device_is_described() -> None:
    """Name and memory are what the driver says of device 0; more than four gigabytes are no smaller for it."""
    assert cuda.first_device(lambda name: Driver()) == ("NVIDIA H100 80GB HBM3", 85_045_149_696)


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (no_library, r"there is no NVIDIA driver \(no-libcuda\.so\.1: cannot open shared object file"),
        (lambda name: Driver(init=100), "cuInit answers 100, no CUDA-capable device is detected"),
        (lambda name: Driver(init=803, words=None), "cuInit answers 803, an error that it has no words for"),
        (lambda name: Driver(devices=0), "the NVIDIA driver counts none"),
    ],
)
def test_a_missing_device_is_a_reason(load: Any, reason: str) -> None:
    """No driver, no device, and a driver that fails are told apart, in the driver's words."""
    if load is no_library and sys.platform != "linux":
        pytest.skip("not on this operating system: its loader has other words")
    with pytest.raises(BackendUnavailable, match=reason):
        cuda.first_device(load)


def loaded(**options: object) -> Backend:
    try:
        return discovery.load("lightning", options)
    except BackendUnavailable as fault:
        if "PennyLane" in fault.message or "which is missing" in fault.message:
            pytest.skip(f"not on this operating system: {fault.message}")
        raise


def without_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning, "find_spec", lambda name: None)


def with_a_wheel(monkeypatch: pytest.MonkeyPatch, **driver: Any) -> None:
    """The wheel is there as far as importing goes, beside a driver of the test's."""
    monkeypatch.setattr(lightning, "find_spec", lambda name: object())
    monkeypatch.setattr(lightning, "first_device", lambda: cuda.first_device(lambda name: Driver(**driver)))


def test_a_missing_wheel_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that is asked for without its wheel is refused with the command that installs it."""
    without_a_wheel(monkeypatch)

    with pytest.raises(BackendUnavailable, match=r"pennylane-lightning-gpu is missing \(`scripts/setup gpu` installs"):
        loaded(device="gpu")


def test_a_missing_card_is_the_drivers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the wheel and without a device, asking for it is refused with what the driver says."""
    with_a_wheel(monkeypatch, init=100)

    with pytest.raises(BackendUnavailable, match=r"lightning\.gpu cannot be used: .* no CUDA-capable device"):
        loaded(device="gpu")


def test_a_card_that_does_not_start_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the driver has a device and lightning.gpu will not start on it, PennyLane's own words are the reason."""
    with_a_wheel(monkeypatch)
    monkeypatch.setattr(lightning, "GPU", "lightning.of_tomorrow")

    with pytest.raises(BackendUnavailable, match=r"it does not start: .*lightning\.of_tomorrow"):
        loaded(device="gpu")


def test_auto_goes_on_without_a_card_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a card the processor computes, honestly without `gpu`, and the job's receipt has the reason."""
    with_a_wheel(monkeypatch, devices=0)
    backend = loaded()

    backend.probe()

    assert not backend.capabilities.gpu
    assert backend.capabilities.memory_bytes is None
    assert backend.device == (
        "lightning.qubit, since lightning.gpu cannot be used: there is no CUDA device: the NVIDIA driver counts none"
    )
    gates = [{"type": "RY", "targets": [0], "parameters": {"theta": "a"}}]
    config = {"task": "energy", "hamiltonian": [{"pauli": "Z0", "coeff": 1.0}], "epochs": 1}
    circuit = {"n_qubits": 1, "gates": gates}
    training = Training(
        Plan(circuit=circuit, config=config, backend="lightning", backend_options={}, dataset={}, seed=0)
    )
    list(training.epochs())

    assert training.finish().receipt["device"] == backend.device


def test_the_processor_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """`device = "cpu"` asks no driver."""
    monkeypatch.setattr(lightning, "first_device", lambda: pytest.fail("the driver was asked"))

    assert loaded(device="cpu").device == "lightning.qubit"


@pytest.mark.parametrize(("key", "value"), [("device", "tpu"), ("device", 0), ("max_qubits", 31), ("max_qubits", True)])
def test_options_that_make_no_sense(key: str, value: object) -> None:
    """An option that is none is named."""
    with pytest.raises(BackendUnavailable, match=rf"backends\.lightning\.{key} must be"):
        loaded(**{key: value})


@pytest.mark.gpu
def test_the_card_computes_what_the_processor_does() -> None:
    """On a machine with a card: capabilities and receipt say so, and values and gradients agree to 1e-10."""
    try:
        card = discovery.load("lightning", {"device": "gpu"})
    except BackendUnavailable as fault:
        pytest.skip(f"no NVIDIA GPU here: {fault.message}")
    from qstore_appliance.engine import machine_speed

    execution, _ = machine_speed._execution(10, 3)
    processor = loaded(device="cpu")
    values, gradient = card.differentiate(execution, np.ones_like)
    expected, slopes = processor.differentiate(execution, np.ones_like)

    assert card.capabilities.gpu
    assert card.capabilities.memory_bytes
    assert str(card.device).startswith("lightning.gpu on ")
    assert np.abs(values - expected).max() < 1e-10
    assert np.abs(gradient - slopes).max() < 1e-10
