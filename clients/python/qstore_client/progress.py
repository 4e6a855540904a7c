"""A bar that moves with a job: with rich where it is installed, else one line of text that is written over."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TextIO

from qstore_client.types import JobProgress

WIDTH = 30


class ProgressBar:
    """
    `with ProgressBar() as bar: bar.show(update)` for each update of `stream_progress`.

    Args:
        file: Where the line of text goes, standard error unless given; rich is used for a terminal alone.
    """

    def __init__(self, *, file: TextIO | None = None) -> None:
        self._file = file or sys.stderr
        self._bar: Any = None
        self._task: Any = None
        self._shown = False

    def __enter__(self) -> ProgressBar:
        if self._file.isatty():
            self._bar = _rich(self._file)
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._shown:
            self._file.write("\n")
            self._file.flush()

    def show(self, update: JobProgress) -> None:
        words = update.status if update.loss is None else f"{update.status}  loss {update.loss:.4f}"
        if self._bar is None:
            done = round(WIDTH * update.epoch / max(1, update.total_epochs))
            bar = "#" * done + "." * (WIDTH - done)
            self._file.write(f"\r[{bar}] epoch {update.epoch}/{update.total_epochs}  {words}")
            self._file.flush()
            self._shown = True
            return
        if self._task is None:
            self._task = self._bar.add_task(words, total=update.total_epochs)
        self._bar.update(self._task, completed=update.epoch, total=update.total_epochs, description=words)


def _rich(file: TextIO) -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=file))
