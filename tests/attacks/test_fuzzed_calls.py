"""A million calls that nobody would send: no failure of the server, and no answer that its description lacks."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.documented import documented
from tests.attacks import fuzzer
from tests.attacks.conftest import Fortress, failures, standing

SEED = 20261126
#: Calls under way at any moment, and between two notes of how far one is.
AT_ONCE, NOTED = 16, 2_000
KEPT = "qstore/fuzzed"


@pytest.fixture
def fortress(tmp_path: Path) -> Iterator[Fortress]:
    """One for this alone: what these calls change and delete is the owner's."""
    with standing(tmp_path / "data") as found:
        yield found


async def fuzz(fortress: Fortress, numbers: range) -> Counter[int]:
    """Send the calls of these numbers; how many answers there were of each status."""
    found: Counter[int] = Counter()
    waiting = iter(numbers)
    headers = {"Authorization": f"Bearer {fortress.tokens['owner']}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=fortress.url, headers=headers, timeout=120, trust_env=False) as client:

        async def send() -> None:
            for number in waiting:
                one = fuzzer.call(SEED, number, fortress.things)
                answer = await client.request(one.method, one.path, params=one.query, content=one.content)
                assert answer.status_code < 500 or one.path == "/ready", (number, one, answer.text[:500])
                try:
                    await documented(answer)
                except AssertionError as error:
                    raise AssertionError(f"call {number}, {one}: {error}") from error
                found[answer.status_code] += 1

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return found


@pytest.mark.parametrize("calls", [400, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_calls_that_nobody_would_send(
    fortress: Fortress, calls: int, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Each is answered, and as described. The long run goes on where it was cut off, with `--cache-clear` from the start."""
    cache = request.config.cache
    assert cache is not None
    long = calls > NOTED
    begun = int(cache.get(KEPT, 0)) % calls if long else 0
    found: Counter[int] = Counter()
    start = time.monotonic()
    for first in range(begun, calls, NOTED):
        found += asyncio.run(fuzz(fortress, range(first, min(first + NOTED, calls))))
        if long:
            cache.set(KEPT, first + NOTED)
            rate = found.total() / (time.monotonic() - start)
            print(f"{first + NOTED} of {calls} calls, {rate:.0f} a second, {dict(sorted(found.items()))}", flush=True)

    assert found.total() == calls - begun
    assert found[200] > 0
    assert failures(fortress.log()) == []
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(found.items()))
    rate = found.total() / (time.monotonic() - start)
    record_property(
        "report", f"fuzzed REST and GraphQL: calls {begun} to {calls}, {rate:.0f} a second, no 5xx; {statuses}"
    )
