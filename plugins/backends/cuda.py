"""
The first CUDA device of this machine, as its driver describes it, without any CUDA package.

Asking initialises CUDA in this process, and a process that is forked afterwards cannot use it: backends are loaded in
children that fork no more.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from qstore_appliance.errors import BackendUnavailable

DRIVER: Final = "libcuda.so.1"
_NAME_BYTES: Final = 256


class Cuda(NamedTuple):
    """
    Attributes:
        name: As NVIDIA calls it.
        memory_bytes: All of its memory, whether free or not.
    """

    name: str
    memory_bytes: int


def first_device(load: Callable[[str], Any] = ctypes.CDLL) -> Cuda:
    """
    Args:
        load: Opens a shared library by its name.

    Raises:
        BackendUnavailable: There is no driver or no device; the sentence is the driver's own where it says one.
    """
    try:
        driver = load(DRIVER)
    except OSError as fault:
        raise BackendUnavailable(f"there is no NVIDIA driver ({fault})") from fault
    _ask(driver, "cuInit", 0)
    count = ctypes.c_int()
    _ask(driver, "cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        raise BackendUnavailable("there is no CUDA device: the NVIDIA driver counts none")
    device, memory = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _ask(driver, "cuDeviceGet", ctypes.byref(device), 0)
    _ask(driver, "cuDeviceGetName", name, _NAME_BYTES, device)
    _ask(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    return Cuda(name.value.decode("ascii", "replace"), memory.value)


def _ask(driver: Any, function: str, *arguments: Any) -> None:
    code = getattr(driver, function)(*arguments)
    if code == 0:
        return
    text = ctypes.c_char_p()
    said = driver.cuGetErrorString(code, ctypes.byref(text)) == 0 and text.value
    words = said.decode("ascii", "replace") if said else "an error that it has no words for"
    raise BackendUnavailable(f"there is no CUDA device: {function} answers {code}, {words}")
