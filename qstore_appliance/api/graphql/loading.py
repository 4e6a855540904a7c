"""Reading in batches: what the fields of one answer ask for one by one is read from the services together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")

Read = Callable[[list[str]], Awaitable[Mapping[str, Value]]]


class Loader(Generic[Value]):
    """
    Things by id, for one answer: every id is read once, and ids that are asked for in the same turn of the loop are read
    together.

    Args:
        read: Answers what it finds of several ids; what it leaves out is None to whoever asked.
    """

    def __init__(self, read: Read[Value]) -> None:
        self._read = read
        self._known: dict[str, asyncio.Future[Value | None]] = {}
        self._waiting: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, id: str) -> asyncio.Future[Value | None]:
        found = self._known.get(id)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._known[id] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._start)
            self._waiting.append(id)
        return found

    def close(self) -> None:
        """Nobody waits any more."""
        for task in self._tasks:
            task.cancel()
        for future in self._known.values():
            future.cancel()

    def _start(self) -> None:
        wanted, self._waiting = self._waiting, []
        task = asyncio.create_task(self._answer(wanted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, wanted: list[str]) -> None:
        futures = [self._known[id] for id in wanted]
        try:
            found = await self._read(wanted)
        except Exception as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
                    # Whoever asked may have gone; an error that nobody takes is no fault of theirs.
                    future.exception()
            return
        for id, future in zip(wanted, futures, strict=True):
            if not future.done():
                future.set_result(found.get(id))


class Loaders:
    """One loader for each kind of thing that others point to."""

    def __init__(self, appliance: Any, caller: Any, admit_gates: Callable[[int], None]) -> None:
        circuits, jobs, models = appliance.circuits, appliance.jobs, appliance.models
        self.circuits: Loader[Any] = Loader(lambda wanted: circuits.heads(caller, wanted))
        self.jobs: Loader[Any] = Loader(lambda wanted: jobs.several(caller, wanted))
        self.reasons: Loader[Any] = Loader(lambda wanted: jobs.reasons(caller, wanted))
        self.models: Loader[Any] = Loader(lambda wanted: models.several(caller, wanted))
        #: By the id of the model.
        self.deployments: Loader[Any] = Loader(lambda wanted: models.deployments_of(caller, wanted))

        async def whole(wanted: list[str]) -> Mapping[str, Any]:
            # Their sizes are known before they are read: a hundred of the largest would be gigabytes.
            heads = await circuits.heads(caller, wanted)
            admit_gates(sum(head.gate_count for head in heads.values()))
            found: Mapping[str, Any] = await circuits.several(caller, list(heads))
            return found

        #: With their gates.
        self.whole_circuits: Loader[Any] = Loader(whole)

    def close(self) -> None:
        for loader in vars(self).values():
            loader.close()
