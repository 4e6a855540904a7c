"""
Where numba keeps each compiled kernel: in the cache itself, and not, as numba would have it, under the place of its source.

The cache's own name says which sources it holds (`kernel_cache.py`), so every copy of them may use it: a checkout, another
one, and what is installed from a wheel. numba asks for this class by the name in `NUMBA_CACHE_LOCATOR_CLASSES`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numba.core import caching

from qstore_appliance.engine.kernel_cache import cache_directory

_HERE = Path(__file__).parent
_SOURCES = cache_directory().name
_locator: Any = caching.UserProvidedCacheLocator


class KernelLocator(_locator):  # type: ignore[misc]
    """For the kernels alone; other functions are left to numba's own locators."""

    def get_cache_path(self) -> str:
        return os.environ["NUMBA_CACHE_DIR"]

    def get_source_stamp(self) -> str:
        # numba would look at the one file where a kernel begins; most of it stands in others.
        return _SOURCES

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        return super().from_function(py_func, py_file) if Path(py_file).parent == _HERE else None
