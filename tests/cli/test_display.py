"""What the demo shows."""

from __future__ import annotations

import io

from rich.console import Console

from qstore_appliance.cli.demo_display import Display, picture, plain_picture

#: Four by four: a bright frame around a dark middle.
FRAME = [1.0] * 4 + [1.0, 0.0, 0.0, 1.0] * 2 + [1.0] * 4


def progress(epoch: int, status: str = "running") -> dict[str, object]:
    data = {"status": status, "current_epoch": epoch, "total_epochs": 4, "eta_seconds": 3.2}
    return {"type": "event", "channel": "job.progress", "seq": epoch, "data": data}


def metrics(epoch: int) -> dict[str, object]:
    numbers = {"loss": 0.5, "accuracy": 0.75, "val_loss": None, "val_accuracy": 0.7}
    return {"type": "event", "channel": "job.metrics", "seq": epoch, "data": {"epoch": epoch, "metrics": numbers}}


def test_plain_pictures() -> None:
    """Without colours two pixels share a character, and each is ink or not."""
    assert plain_picture(FRAME) == "█▀▀█\n█▄▄█"


def test_coloured_pictures() -> None:
    """On a terminal every pixel has its grey: the upper as foreground, the lower as background."""
    drawn = picture([0.0, 16.0, 8.0, 16.0])

    assert drawn.plain == "▀▀"
    assert [span.style for span in drawn.spans] == [
        "rgb(0,0,0) on rgb(128,128,128)",
        "rgb(255,255,255) on rgb(255,255,255)",
    ]


def test_plain_lines() -> None:
    """Away from a terminal every epoch is a line, in order, with its numbers."""
    out = io.StringIO()
    display = Display(Console(file=out, force_terminal=False, highlight=False))

    with display.training() as view:
        view.show(progress(1))
        view.show(metrics(1))

    assert out.getvalue() == "epoch 1/4  loss 0.5000  training accuracy 0.7500  validation accuracy 0.7000\n"


def test_a_live_terminal() -> None:
    """On a terminal a bar moves, with loss, accuracies and the time left."""
    out = io.StringIO()
    display = Display(Console(file=out, force_terminal=True, width=100, highlight=False))

    with display.training() as view:
        view.show(progress(1))
        view.show(metrics(1))
        view.show(progress(2))

    shown = out.getvalue()
    assert "50%" in shown
    assert "loss 0.5000" in shown
    assert "validation accuracy 0.7000" in shown
    assert "3 s left" in shown


def test_answers_side_by_side() -> None:
    """Each image comes with the answer, its confidence and whether it is right."""
    out = io.StringIO()
    display = Display(Console(file=out, force_terminal=True, width=60, highlight=False))

    display.answers([FRAME] * 4, ["0", "1", "2", "3"], [{"label": "0", "confidence": 0.876}] * 4)

    shown = out.getvalue()
    assert "0 88% ✓" in shown
    assert "0 88% ✗ is 3" in shown


def test_a_dark_picture() -> None:
    """A picture without a bright pixel is dark, not an error."""
    assert plain_picture([0.0] * 4) == ""
