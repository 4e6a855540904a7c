"""
Hashing of passwords: argon2id in a small pool of threads, so that a flood of sign-ins costs strangers their answer and
nobody else their CPU.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from qstore_appliance.domain.accounts import normal_password
from qstore_appliance.errors import RateLimited, ValidationFailed

Result = TypeVar("Result")

MIN_LENGTH, MAX_LENGTH = 8, 256


class Passwords:
    """
    The pool. Parameters are the second set of OWASP's Password Storage Cheat Sheet (19 MiB, two passes, one lane).

    Args:
        threads: Hashes at the same time.
        waiting: Hashes that may wait; more are refused.
    """

    def __init__(
        self, *, threads: int = 2, waiting: int = 32, time_cost: int = 2, memory_kib: int = 19_456, parallelism: int = 1
    ) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._room = threads + waiting
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """
        Raises:
            RateLimited: Too many are waiting.
        """
        return await self._run(lambda: self._hasher.hash(_bytes_of(password)))

    async def verify(self, known: str | None, password: str) -> bool:
        """
        Whether this is the password. `known` None stands for a user that does not exist, and takes as long.

        Raises:
            RateLimited: Too many are waiting.
        """
        return await self._run(lambda: self._verify(known, _bytes_of(password)))

    def is_outdated(self, known: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(known)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, known: str | None, password: bytes) -> bool:
        # Made by the first verification, whoever it is for: the first unknown user must not take longer than others.
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody has this password")
        try:
            return self._hasher.verify(known or self._nobody, password) and known is not None
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._room == 0:
            raise RateLimited("Too many sign-ins at the same time.", retry_after=1)
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # A caller who went away frees no thread: the place is free when the hash is done.
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, future: asyncio.Future[Result]) -> None:
        self._room += 1
        if not future.cancelled():
            future.exception()


def _bytes_of(password: str) -> bytes:
    return normal_password(password).encode("utf-8", "surrogatepass")


@functools.cache
def _common() -> frozenset[str]:
    text = resources.files("qstore_appliance.services").joinpath("common_passwords.json").read_text("utf-8")
    return frozenset(json.loads(text)["passwords"])


def check_password(password: str, *personal: str, field: str = "password") -> None:
    """
    Refuse what is guessed first: a common password, one letter repeated, the user's own address or organization.

    Raises:
        ValidationFailed: Naming the field.
    """
    normal = normal_password(password)
    lowered = normal.casefold()
    own = {word.casefold() for text in personal for word in (text, text.partition("@")[0]) if word}
    if not MIN_LENGTH <= len(normal) <= MAX_LENGTH:
        raise ValidationFailed.field(field, f"must have {MIN_LENGTH} to {MAX_LENGTH} characters")
    if lowered in own:
        raise ValidationFailed.field(field, "must not be your own name or address")
    if len(set(lowered)) < 3 or lowered in _common():
        raise ValidationFailed.field(field, "is among the first that anybody would guess; take another")
