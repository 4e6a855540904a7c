"""Who asks, and what the resolvers of one operation share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sanic import Request

from qstore_appliance.api.graphql.aside import Across, Aside
from qstore_appliance.api.graphql.loading import Loaders
from qstore_appliance.api.graphql.naming import relocated
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import QStoreError, TooLarge

#: Of all circuits of one answer together: as many as the largest circuit may have.
MAX_GATES = 100_000


class Context:
    """
    Attributes:
        done: Response names of this document's mutations that have been done.
        submitted: By the id of the job, what submits of this document were told.
    """

    def __init__(self, request: Request, caller: Caller) -> None:
        self.request = request
        self.caller = caller
        self.appliance: Any = request.app.ctx.appliance
        #: Called at each value.
        self.rest: Callable[[], None] = _never
        self.done: list[str] = []
        self.submitted: dict[str, Any] = {}
        self._gates = 0
        self.loaders = self._fresh()

    def goes_aside(self, aside: Aside, reading: asyncio.Semaphore) -> None:
        """Its resolvers run in the other thread from here on."""
        self.rest = aside.rest
        self.appliance = Across(self.appliance, aside, asyncio.get_running_loop(), reading)
        self.forget()

    def forget(self) -> None:
        """Something was changed: what was read before may be wrong now."""
        self.loaders = self._fresh()

    def close(self) -> None:
        self.loaders.close()

    def address(self, path: str) -> str:
        """An address as clients reach it."""
        return path if "://" in path else f"{self.request.app.ctx.settings.address}{path}"

    def _fresh(self) -> Loaders:
        return Loaders(self.appliance, self.caller, self._admit_gates)

    def _admit_gates(self, gates: int) -> None:
        """
        Raises:
            TooLarge: The circuits of this answer have too many gates together.
        """
        if self._gates + gates > MAX_GATES:
            raise TooLarge(
                f"The circuits of this answer have more than {MAX_GATES} gates together; ask for fewer of them at once.",
                details={"limit": MAX_GATES},
            )
        self._gates += gates


@contextmanager
def argument(name: str) -> Iterator[None]:
    """
    What is wrong inside is wrong with this argument.

    Raises:
        QStoreError: The same with the names of fields as this schema has them, behind the argument's.
    """
    try:
        yield
    except QStoreError as error:
        raise relocated(error, name) from None


def _never() -> None:
    """In the loop that serves everybody nobody may rest."""
