"""What the demo shows: live and coloured on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

#: Half a character cell per pixel: the upper half is drawn, the lower one is background.
UPPER_HALF = "▀"


class Display:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    def say(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    @contextmanager
    def training(self) -> Iterator[TrainingView]:
        """A view to `show` epochs in, while the job trains."""
        view = TrainingView()
        if not self.console.is_terminal:
            view.printed = self.say
            yield view
            return
        with Live(view, console=self.console, refresh_per_second=12):
            yield view

    def answers(self, images: Sequence[Sequence[float]], truths: Sequence[str], answers: Sequence[Any]) -> None:
        """Each image beside what the model says about it, and how sure it is."""
        if not self.console.is_terminal:
            for image, truth, answer in zip(images, truths, answers, strict=True):
                self.say(f"\n{plain_picture(image)}\n{_verdict(truth, answer)}")
            return
        per_row = max(1, min(len(images), self.console.width // 17))
        for start in range(0, len(images), per_row):
            row = slice(start, start + per_row)
            grid = Table.grid(padding=(0, 3))
            grid.add_row(*(picture(image) for image in images[row]))
            grid.add_row(*(_coloured(t, a) for t, a in zip(truths[row], answers[row], strict=True)))
            self.console.print(grid)
            self.console.print()


class TrainingView:
    """The job as its events tell it."""

    def __init__(self) -> None:
        self.printed: Any = None
        self._bar = Progress(TextColumn("Training"), BarColumn(bar_width=None), TaskProgressColumn(), expand=True)
        self._task = self._bar.add_task("training", total=None)
        self._progress: dict[str, Any] = {"status": "queued"}
        self._metrics: dict[str, Any] = {}

    def show(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["channel"] == "job.metrics":
            self._metrics = data["metrics"]
            if self.printed is not None:
                self.printed(f"epoch {data['epoch']}/{self._progress.get('total_epochs') or '?'}  {self._numbers()}")
            return
        self._progress = data
        self._bar.update(self._task, total=data["total_epochs"] or None, completed=data["current_epoch"])

    def _numbers(self) -> str:
        spoken = (("loss", "loss"), ("accuracy", "training accuracy"), ("val_accuracy", "validation accuracy"))
        parts = [f"{word} {self._metrics[key]:.4f}" for key, word in spoken if self._metrics.get(key) is not None]
        return "  ".join(parts) or self._progress["status"]

    def __rich__(self) -> Group:
        left = self._progress.get("eta_seconds")
        tail = f"  {left:.0f} s left" if left is not None and self._progress["status"] == "running" else ""
        return Group(self._bar, Text(self._numbers() + tail, style="cyan"))


def _levels(image: Sequence[float]) -> list[list[float]]:
    """A square picture's rows, 0 (dark) to 1 (bright)."""
    side = round(len(image) ** 0.5)
    top = max(image) or 1.0
    return [[max(v, 0.0) / top for v in image[y * side : (y + 1) * side]] for y in range(side)]


def picture(image: Sequence[float]) -> Text:
    """A grey picture in half-block characters: two pixels a character."""
    rows = _levels(image)
    text = Text()
    for y in range(0, len(rows) - 1, 2):
        for above, below in zip(rows[y], rows[y + 1], strict=True):
            text.append(UPPER_HALF, style=f"{_grey(above)} on {_grey(below)}")
        text.append("\n")
    text.rstrip()
    return text


def _grey(level: float) -> str:
    value = round(255 * level)
    return f"rgb({value},{value},{value})"


def plain_picture(image: Sequence[float]) -> str:
    """The same without colours: a pixel is ink or not."""
    rows = [[level >= 0.4 for level in row] for row in _levels(image)]
    return "\n".join(
        "".join(" ▀▄█"[above + 2 * below] for above, below in zip(rows[y], rows[y + 1], strict=True)).rstrip()
        for y in range(0, len(rows) - 1, 2)
    )


def _verdict(truth: str, answer: dict[str, Any]) -> str:
    right = "right" if answer["label"] == truth else f"wrong, it is {truth}"
    return f"{answer['label']} ({answer['confidence']:.0%}, {right})"


def _coloured(truth: str, answer: dict[str, Any]) -> Text:
    right = answer["label"] == truth
    mark = "✓" if right else f"✗ is {truth}"
    return Text(f"{answer['label']} {answer['confidence']:.0%} {mark}", style="green" if right else "red")
