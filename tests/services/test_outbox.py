"""The outbox: a letter is there if what it tells of is, goes out at least once, and is given up where it can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.outbox import Channel, Letter, LetterStatus
from qstore_appliance.errors import Conflict, Forbidden, NotFound
from qstore_appliance.services import outbox as module
from qstore_appliance.services.outbox import AT_ONCE, LEASE, MAX_ATTEMPTS, Outbox
from qstore_appliance.settings import Queue, Settings
from tests.factories import SteppingClock, make_caller

WEBHOOK = "https://hooks.example/budget"


class Door:
    """A way out that remembers what it was given, and refuses or waits where a test says so."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.underway: list[Letter] = []
        self.most = 0
        self.refusal: Callable[[Letter], Exception | None] = lambda letter: None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, letter: Letter) -> None:
        self.letters.append(letter)
        self.underway.append(letter)
        self.most = max(self.most, len(self.underway))
        try:
            refusal = self.refusal(letter)
            if refusal is not None:
                raise refusal
            await self.open.wait()
        finally:
            self.underway.remove(letter)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def outbox(
    database: Database, clock: SteppingClock, settings: Settings, door: Door, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Outbox]:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    made = Outbox(database, clock, settings, dict.fromkeys(Channel, door))
    yield made
    await made.close()


async def put(outbox: Outbox, caller: Caller, destination: str = WEBHOOK, kind: Channel = Channel.WEBHOOK) -> str:
    id = ids.new("outbox")
    async with outbox._database.transaction():
        await outbox.put(caller.organization_id, kind, destination, "budget.alert", {"id": id}, id)
    return id


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def settled(id: str, status: LetterStatus, attempts: int | None = None) -> OutboxRow:
    """The row, once it has that status (after so many attempts) and nobody has it on its way."""
    async with asyncio.timeout(60):
        while True:
            row = await OutboxRow.get(id=id)
            if row.status == status and row.lease_until is None and attempts in (None, row.attempts):
                return row
            await asyncio.sleep(0.005)


async def test_a_letter_goes_out(outbox: Outbox, door: Door) -> None:
    """A letter that was written is delivered once, with its id, and the row says so."""
    caller = make_caller("admin")
    id = await put(outbox, caller)
    await outbox.start()

    row = await settled(id, LetterStatus.DELIVERED)

    assert [(letter.id, letter.event, letter.payload) for letter in door.letters] == [(id, "budget.alert", {"id": id})]
    assert (row.attempts, row.last_error) == (1, None)
    assert row.delivered_at is not None


async def test_a_letter_falls_with_what_it_tells_of(outbox: Outbox, database: Database) -> None:
    """A letter written in a transaction that fails was never there."""

    async def tell_of_what_breaks() -> None:
        async with database.transaction():
            await outbox.put("org_a", Channel.WEBHOOK, WEBHOOK, "budget.alert", {}, ids.new("outbox"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await tell_of_what_breaks()

    assert await OutboxRow.all().count() == 0


async def test_growing_pauses_and_the_end(outbox: Outbox, door: Door, clock: SteppingClock) -> None:
    """A receiver that refuses is asked twelve times, with the same id and doubling pauses, and then the letter is dead."""
    door.refusal = lambda letter: NotDelivered("The receiver answered 500.")
    id = await put(outbox, make_caller("admin"))
    await outbox.start()
    for attempt in range(1, MAX_ATTEMPTS):
        row = await settled(id, LetterStatus.PENDING, attempt)
        pause = (row.next_attempt_at - clock.now()).total_seconds() / (30 * 2 ** (attempt - 1))
        assert 0.8 <= pause <= 1.2
        assert row.last_error == "The receiver answered 500."
        clock.advance(seconds=(row.next_attempt_at - clock.now()).total_seconds() - 0.01)
        await asyncio.sleep(0.03)
        assert len(door.letters) == attempt
        clock.advance(seconds=0.02)

    row = await settled(id, LetterStatus.DEAD)

    assert row.attempts == len(door.letters) == 12
    assert {letter.id for letter in door.letters} == {id}


async def test_final_refusals(outbox: Outbox, door: Door) -> None:
    """What can never arrive is dead after one attempt."""
    door.refusal = lambda letter: NotDelivered("The recipient is no mail address.", final=True)
    id = await put(outbox, make_caller("admin"), "nobody", Channel.EMAIL)
    await outbox.start()

    assert (await settled(id, LetterStatus.DEAD)).attempts == 1


async def test_a_fault_of_ours_is_tried_again(outbox: Outbox, door: Door) -> None:
    """An error that nobody foresaw costs one attempt of one letter, and the others go out."""
    broken = await put(outbox, make_caller("admin"), "https://one.example/")
    whole = await put(outbox, make_caller("admin"), "https://two.example/")
    door.refusal = lambda letter: RuntimeError("a fault") if letter.id == broken else None
    await outbox.start()

    await settled(whole, LetterStatus.DELIVERED)

    assert "fault of this server" in str((await settled(broken, LetterStatus.PENDING, 1)).last_error)


async def test_a_dead_receiver_holds_nobody(outbox: Outbox, door: Door) -> None:
    """However many letters wait for a receiver that hangs: they take half of the places, others go out at once."""
    callers = [make_caller("admin") for _ in range(AT_ONCE)]
    for caller in callers:
        for _ in range(5):
            await put(outbox, caller, "https://dead.example/x")
    last = await put(outbox, callers[0], "https://alive.example/x")
    hanging = asyncio.Event()

    async def deliver(letter: Letter) -> None:
        door.letters.append(letter)
        if "dead" in letter.destination:
            await hanging.wait()

    outbox._doors = dict.fromkeys(Channel, deliver)
    await outbox.start()
    await settled(last, LetterStatus.DELIVERED)

    def dead() -> list[Letter]:
        return [letter for letter in door.letters if "dead" in letter.destination]

    await until(lambda: len(dead()) == AT_ONCE // 2)
    await asyncio.sleep(0.05)
    assert len(dead()) == AT_ONCE // 2
    assert len({letter.organization_id for letter in dead()}) == AT_ONCE // 2
    hanging.set()


async def test_at_most_so_many_at_once(outbox: Outbox, door: Door) -> None:
    """Thirty letters to thirty receivers: eight are on their way at once, and all arrive."""
    door.open.clear()
    caller = make_caller("admin")
    for number in range(30):
        await put(outbox, caller, f"https://r{number}.example/")
    await outbox.start()
    await until(lambda: len(door.underway) == AT_ONCE)
    await asyncio.sleep(0.05)
    door.open.set()
    await until(lambda: len(door.letters) == 30)

    assert door.most == AT_ONCE


async def test_one_organizations_letters_to_a_receiver_go_in_turn(outbox: Outbox, door: Door) -> None:
    """Letters of an organization to the same receiver go one after another, the oldest first."""
    caller = make_caller("admin")
    written = []
    for number in range(5):
        written.append(await put(outbox, caller, f"{WEBHOOK}/{number}"))
        # Ids are in the order of time from one millisecond to the next.
        await asyncio.sleep(0.002)
    await outbox.start()
    await until(lambda: len(door.letters) == 5)

    assert [letter.id for letter in door.letters] == written
    assert door.most == 1


async def test_two_servers_share_the_work(
    database: Database, clock: SteppingClock, settings: Settings, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers on one database deliver each letter once between them."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    # Where a queue joins several servers; one that is alone takes every lease at its start for a dead server's.
    joined = Settings(data_dir=settings.data_dir, database=settings.database, queue=Queue(url="redis://127.0.0.1:1"))
    servers = [Outbox(database, clock, joined, dict.fromkeys(Channel, door)) for _ in range(2)]
    callers = [make_caller("admin") for _ in range(20)]
    written = [await put(servers[0], caller) for caller in callers]
    await asyncio.gather(*(server.start() for server in servers))
    for id in written:
        await settled(id, LetterStatus.DELIVERED)
    await asyncio.gather(*(server.close() for server in servers))

    assert sorted(letter.id for letter in door.letters) == sorted(written)


async def test_a_lease_of_a_server_that_is_gone(outbox: Outbox, door: Door, clock: SteppingClock) -> None:
    """A letter that another server had on its way is left to it until its lease is over."""
    id = await put(outbox, make_caller("admin"))
    await outbox.start()
    await settled(id, LetterStatus.DELIVERED)
    second = await put(outbox, make_caller("admin"), "https://other.example/")
    await settled(second, LetterStatus.DELIVERED)
    await OutboxRow.filter(id=second).update(
        status=LetterStatus.PENDING, delivered_at=None, lease_until=clock.now() + LEASE
    )
    await asyncio.sleep(0.05)
    assert len(door.letters) == 2
    clock.advance(seconds=LEASE.total_seconds() + 1)

    row = await settled(second, LetterStatus.DELIVERED)

    assert row.attempts == 2


async def test_a_server_that_dies_in_the_last_attempt(outbox: Outbox, door: Door) -> None:
    """A letter whose last attempt nobody has seen the end of is dead, where it can be seen and tried again."""
    id = await put(outbox, make_caller("admin"))
    await OutboxRow.filter(id=id).update(attempts=MAX_ATTEMPTS)
    await outbox.start()

    row = await settled(id, LetterStatus.DEAD)

    assert "last attempt" in str(row.last_error)
    assert door.letters == []


async def test_trying_again(outbox: Outbox, door: Door) -> None:
    """An administrator has a dead letter tried from the beginning; a delivered one is not sent again."""
    caller = make_caller("admin")
    door.refusal = lambda letter: NotDelivered("No.", final=True)
    id = await put(outbox, caller)
    await outbox.start()
    await settled(id, LetterStatus.DEAD)
    door.refusal = lambda letter: None

    letter = await outbox.retry(caller, id)

    assert (letter.status, letter.attempts) == (LetterStatus.PENDING, 0)
    assert (await settled(id, LetterStatus.DELIVERED)).attempts == 1
    with pytest.raises(Conflict):
        await outbox.retry(caller, id)


async def test_whose_letters(outbox: Outbox) -> None:
    """Letters are seen and tried again by administrators of their organization, and by nobody else."""
    ours, theirs = make_caller("admin"), make_caller("owner")
    id = await put(outbox, ours)

    listed = await outbox.listed(ours, Page(), [LetterStatus.PENDING])
    assert [letter.id for letter in listed.items] == [id]
    assert (await outbox.listed(ours, Page(), [LetterStatus.DEAD])).total == 0
    assert (await outbox.listed(theirs, Page())).total == 0
    with pytest.raises(NotFound):
        await outbox.retry(theirs, id)
    developer = make_caller("developer", organization_id=ours.organization_id)
    with pytest.raises(Forbidden):
        await outbox.listed(developer, Page())
    with pytest.raises(Forbidden):
        await outbox.retry(developer, id)


async def test_old_letters_are_forgotten(outbox: Outbox, clock: SteppingClock) -> None:
    """What was delivered a month ago and what died three months ago is forgotten; what waits is not."""
    caller = make_caller("admin")
    kept = {}
    for status, days in (("delivered", 31), ("delivered", 29), ("dead", 91), ("dead", 89), ("pending", 200)):
        id = await put(outbox, caller)
        await OutboxRow.filter(id=id).update(
            status=status,
            created_at=clock.now() - timedelta(days=days),
            next_attempt_at=clock.now() + timedelta(days=1),
        )
        kept[id] = (status, days)
    await outbox.start()
    async with asyncio.timeout(60):
        while await OutboxRow.all().count() > 3:
            await asyncio.sleep(0.005)

    left = {kept[str(id)] for id in await OutboxRow.all().values_list("id", flat=True)}
    assert left == {("delivered", 29), ("dead", 89), ("pending", 200)}
