"""Idempotency keys, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.idempotency import IdempotencyRow
from qstore_appliance.errors import Conflict, ValidationFailed
from qstore_appliance.services.idempotency import Idempotency, StoredAnswer
from tests.factories import SteppingClock

CLAIM = ("user:user_1", "POST", "/v1/jobs", "key-1")
BODY = "0" * 64
ANSWER = StoredAnswer(202, "application/json", b'{"success": true, "text": "\xc3\xa9\x00"}')


@pytest.fixture
def idempotency(database: Database, clock: SteppingClock) -> Idempotency:
    return Idempotency(database, clock)


async def finish(idempotency: Idempotency) -> None:
    await idempotency.finish(*CLAIM, status=ANSWER.status, content_type=ANSWER.content_type, body=ANSWER.body)


async def test_replay(idempotency: Idempotency) -> None:
    """The same key and body get the first answer again, byte for byte."""
    assert await idempotency.begin(*CLAIM, BODY) is None
    await finish(idempotency)

    assert await idempotency.begin(*CLAIM, BODY) == ANSWER


async def test_in_flight(idempotency: Idempotency) -> None:
    """While the first request runs, a second one is told to come back."""
    await idempotency.begin(*CLAIM, BODY)

    with pytest.raises(Conflict) as caught:
        await idempotency.begin(*CLAIM, BODY)

    assert caught.value.retry_after == 1


async def test_other_body(idempotency: Idempotency) -> None:
    """A key that comes back with another body is a mistake of the client, finished or not."""
    await idempotency.begin(*CLAIM, BODY)
    for _ in range(2):
        with pytest.raises(Conflict, match="another body") as caught:
            await idempotency.begin(*CLAIM, "1" * 64)
        assert caught.value.retry_after is None
        await finish(idempotency)


@pytest.mark.parametrize("position", [0, 1, 2, 3])
async def test_keys_do_not_meet(idempotency: Idempotency, position: int) -> None:
    """Another caller, method, route or key never sees the answer."""
    await idempotency.begin(*CLAIM, BODY)
    await finish(idempotency)
    other = [*CLAIM]
    other[position] += "x"

    assert await idempotency.begin(*other, BODY) is None


async def test_parallel(idempotency: Idempotency) -> None:
    """Of many requests with one key exactly one goes ahead."""
    answers = await asyncio.gather(*(idempotency.begin(*CLAIM, BODY) for _ in range(8)), return_exceptions=True)

    assert [type(answer) for answer in answers].count(type(None)) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7


async def test_forget(idempotency: Idempotency) -> None:
    """A request that failed gives its key back; a finished one keeps it."""
    await idempotency.begin(*CLAIM, BODY)
    await idempotency.forget(*CLAIM)
    assert await idempotency.begin(*CLAIM, BODY) is None
    await finish(idempotency)

    await idempotency.forget(*CLAIM)

    assert await idempotency.begin(*CLAIM, BODY) == ANSWER


async def test_a_day(idempotency: Idempotency, clock: SteppingClock) -> None:
    """An answer is kept for a day; then the key is new, and the old row is swept."""
    await idempotency.begin(*CLAIM, BODY)
    await finish(idempotency)
    clock.advance(hours=23, minutes=59)
    assert await idempotency.begin(*CLAIM, BODY) == ANSWER

    clock.advance(minutes=11)

    assert await idempotency.begin("user:user_2", "POST", "/", "other", BODY) is None
    assert await IdempotencyRow.all().count() == 1
    assert await idempotency.begin(*CLAIM, BODY) is None


async def test_died_in_flight(idempotency: Idempotency, clock: SteppingClock) -> None:
    """A key whose server died is free after a quarter of an hour, and at once when the only server starts again."""
    await idempotency.begin(*CLAIM, BODY)
    clock.advance(minutes=15)
    assert await idempotency.begin(*CLAIM, BODY) is None

    await idempotency.reopen()

    assert await idempotency.begin(*CLAIM, BODY) is None


@pytest.mark.parametrize("key", ["", "x" * 129, "with space", "line\nfeed", "é", "\x7f"])
async def test_malformed_key(idempotency: Idempotency, key: str) -> None:
    """A key is 1 to 128 visible ASCII characters."""
    with pytest.raises(ValidationFailed, match="Idempotency-Key"):
        await idempotency.begin("user:user_1", "POST", "/v1/jobs", key, BODY)


async def test_killed_between_the_deed_and_the_answer(idempotency: Idempotency, database: Database) -> None:
    """What was done is not done again, also where the server died before it kept the answer; what was not done is."""
    await idempotency.begin(*CLAIM, BODY)
    idempotency.mark(*CLAIM)
    with pytest.raises(ZeroDivisionError):
        async with database.transaction():
            raise ZeroDivisionError
    await idempotency.reopen()
    assert await idempotency.begin(*CLAIM, BODY) is None

    idempotency.mark(*CLAIM)
    async with database.transaction(aside=True):
        async with database.transaction():
            assert (await IdempotencyRow.get()).status is None
    async with database.transaction():
        async with database.transaction():
            pass
        assert (await IdempotencyRow.get()).status is None
    await idempotency.reopen()

    with pytest.raises(Conflict) as caught:
        await idempotency.begin(*CLAIM, BODY)
    assert caught.value.details == {"done": True}

    await finish(idempotency)
    assert await idempotency.begin(*CLAIM, BODY) == ANSWER


async def test_a_deed_that_is_refused_after_all(idempotency: Idempotency, database: Database) -> None:
    """A request that fails after a first write gives its key back, and is judged anew."""
    await idempotency.begin(*CLAIM, BODY)
    idempotency.mark(*CLAIM)
    async with database.transaction():
        pass
    await idempotency.forget(*CLAIM)

    assert await idempotency.begin(*CLAIM, BODY) is None


async def test_marks_belong_to_their_tasks(idempotency: Idempotency, database: Database) -> None:
    """A write of another task says nothing about this one's request."""
    await idempotency.begin(*CLAIM, BODY)
    idempotency.mark(*CLAIM)

    async def other() -> None:
        async with database.transaction():
            pass

    await asyncio.create_task(other())

    assert (await IdempotencyRow.get()).status is None
