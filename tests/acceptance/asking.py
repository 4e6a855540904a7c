"""
Many clients at once that ask a deployed model, and check every answer that they get.

A process of its own, so that its loop costs the server no turn; HTTP/1.1 by hand over kept connections, for a client
library would be most of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: A probability may differ by so much from what the model answered at rest.
TOLERANCE = 1e-6
#: Nobody waits longer for an answer; it is lost then.
LOST_SECONDS = 60.0


@dataclass
class Asked:
    """
    What became of the questions of one run.

    Attributes:
        milliseconds: of each answer, in the open loop from the moment at which it was due.
        statuses: how many answers had which HTTP status.
        wrong: answers with status 200 that say something else than the model said at rest.
        lost: questions without any answer.
        answered_by: how many answers named which model.
        examples: a few bodies that were not 200.
    """

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    lost: int = 0
    answered_by: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers in a second."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


@dataclass(frozen=True)
class Questions:
    """
    Attributes:
        inputs: one of them is asked at a time.
        expected: the probabilities of each that are right, by model where several versions may answer.
        connections: kept open; in the closed loop each asks as soon as it was answered.
        per_second: of the open loop, with random distances; None for the closed loop.
    """

    port: int
    path: str
    credential: str
    inputs: list[list[float]]
    expected: dict[str, list[list[float]]]
    connections: int
    seconds: float
    per_second: float | None = None
    seed: int = 1


class Asking:
    """A run in a process of its own, from now on."""

    def __init__(self, questions: Questions) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.asking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(questions))
        self._process.stdin.close()

    def ended(self) -> Asked:
        """Wait for its end."""
        assert self._process.stdout is not None
        content = self._process.stdout.read()
        assert self._process.wait() == 0
        found: Asked = pickle.loads(content)
        return found


def ask(questions: Questions) -> Asked:
    return Asking(questions).ended()


class _Run:
    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._asked = Asked()
        self._random = random.Random(questions.seed)
        self._requests = [_request(questions, row) for row in questions.inputs]
        self._due: deque[float] = deque()
        self._wake = asyncio.Semaphore(0)

    async def run(self) -> Asked:
        asked, questions = self._asked, self._questions
        lines = [await asyncio.open_connection("127.0.0.1", questions.port) for _ in range(questions.connections)]
        began = time.perf_counter()
        end = began + questions.seconds
        if questions.per_second is None:
            await asyncio.gather(*(self._closed(line, end) for line in lines))
        else:
            clients = [asyncio.create_task(self._open(line)) for line in lines]
            await self._demand(began, end, questions.per_second)
            for _ in clients:
                self._due.append(-1.0)
                self._wake.release()
            await asyncio.gather(*clients)
        asked.seconds = time.perf_counter() - began
        for _, writer in lines:
            writer.close()
        return asked

    async def _demand(self, began: float, end: float, per_second: float) -> None:
        due = began
        while (due := due + self._random.expovariate(per_second)) < end:
            ahead = due - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            self._due.append(due)
            self._wake.release()

    async def _closed(self, line: tuple[Any, Any], end: float) -> None:
        while time.perf_counter() < end:
            await self._one(line, time.perf_counter())

    async def _open(self, line: tuple[Any, Any]) -> None:
        while True:
            await self._wake.acquire()
            due = self._due.popleft()
            if due < 0:
                return
            await self._one(line, due)

    async def _one(self, line: tuple[Any, Any], due: float) -> None:
        reader, writer = line
        index = self._random.randrange(len(self._requests))
        writer.write(self._requests[index])
        try:
            async with asyncio.timeout(LOST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                content = await reader.readexactly(length)
        except (TimeoutError, OSError, EOFError, IndexError):
            self._asked.lost += 1
            return
        self._asked.milliseconds.append(1e3 * (time.perf_counter() - due))
        status = int(head[9:12])
        self._asked.statuses[status] += 1
        if status == 200:
            self._check(index, json.loads(content)["data"])
        elif len(self._asked.examples) < 5:
            self._asked.examples.append(content.decode(errors="replace")[:500])

    def _check(self, index: int, answer: dict[str, Any]) -> None:
        # Not every answer says who gave it: then there is only one who can have.
        model = answer.get("model_id") or next(iter(self._questions.expected))
        self._asked.answered_by[model] += 1
        right = self._questions.expected.get(model)
        found = answer["predictions"][0]["probabilities"]
        if right is None or max(abs(a - b) for a, b in zip(found, right[index], strict=True)) > TOLERANCE:
            self._asked.wrong += 1


def _request(questions: Questions, row: list[float]) -> bytes:
    content = json.dumps({"inputs": [row]}).encode()
    head = (
        f"POST {questions.path} HTTP/1.1\r\nHost: 127.0.0.1:{questions.port}\r\n"
        f"Authorization: Bearer {questions.credential}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


if __name__ == "__main__":
    # Under its real name, so that both ends pickle the same classes.
    from tests.acceptance import asking

    said = asyncio.run(asking._Run(pickle.load(sys.stdin.buffer)).run())
    sys.stdout.buffer.write(pickle.dumps(said))
