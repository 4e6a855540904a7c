"""
What goes into a training process and what comes out of it. Light: both sides of the pipe import it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from qstore_appliance.engine.remote_jobs import RemoteJob


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything a training needs to know; the same plan always gives the same model.

    Attributes:
        circuit: `n_qubits` and the gates, as `formats.unified` reads them.
        config: the job's validated config.
        backend: a name that `discovery` knows.
        backend_options: of `[backends.<name>]`, secrets resolved.
        dataset: `{"kind": "builtin", "name"}` or `{"kind": "file", "path", "digest"}`; empty for a task without data.
        seed: of every random choice.
        checkpoint: of the last epoch that was recorded, to go on from there.
        threads: at most so many; None leaves it to the backend.
        goes_on: the checkpoint is of another job that had ended; if it had stopped early, its patience begins anew.
        remote_jobs: what earlier processes of this training have sent to a provider since the checkpoint, oldest first.
        waits: it costs something: no epoch begins before the one before it is recorded, and found to leave room for it.
    """

    circuit: dict[str, Any]
    config: dict[str, Any]
    backend: str
    backend_options: dict[str, Any]
    dataset: dict[str, Any]
    seed: int
    checkpoint: bytes | None = None
    threads: int | None = None
    remote_jobs: list[RemoteJob] = []
    goes_on: bool = False
    waits: bool = False


class EpochReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    One epoch is over.

    Attributes:
        epoch: from 1.
        loss, accuracy: over the epoch's own batches, while the parameters moved. Of an energy the loss is the energy;
            accuracy is None where nothing is right or wrong.
        val_loss, val_accuracy: after the epoch; None without a validation part.
        circuits, shots: executed in this epoch, validation included.
        checkpoint: to go on from, bit for bit.
        best_loss: lowest training loss so far.
        eta_seconds: what the remaining epochs will take at this pace.
        message: the log line.
        health: of the gradients, see `health.py`.
        warnings: sentences for the log at level WARNING.
        digest: of the parameters after the epoch, see `receipt.digest_of`.
        receipt: what really runs; with the first report of a process.
        cpu_seconds: processor time since the last report or the start, all threads of this process together.
        gpu_seconds: wall time of the epoch where the backend is on a graphics card, else 0.
        finish_circuits: what `finish` will execute, where this was the last epoch; None where epochs remain.
    """

    epoch: int
    total_epochs: int
    loss: float
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    circuits: int
    shots: int
    checkpoint: bytes
    best_loss: float
    eta_seconds: float
    message: str
    health: dict[str, Any] | None = None
    warnings: list[str] = []
    digest: str | None = None
    receipt: dict[str, Any] | None = None
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    finish_circuits: int | None = None


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """
    The end of a training.

    Attributes:
        artifact: the model as bytes, see `artifact.py`; None where nothing was trained.
        metrics: `accuracy` or `r2` on the test part, beside `baseline` on the same samples; see `scoring.py`. Or the
            energy; or what was counted.
        parameters: weights grouped by prefix.
        receipt: what really ran: backend, gradient, precision, data, seed, versions.
        test_examples: up to ten of `{"index", "input": raw columns, "label"}`.
        circuits, shots: executed by `finish` alone, to score the test part; epochs report their own.
        cpu_seconds, gpu_seconds: of `finish`, likewise.
    """

    artifact: bytes | None
    metrics: dict[str, Any]
    parameters: dict[str, list[float]]
    receipt: dict[str, Any]
    test_examples: list[dict[str, Any]]
    circuits: int
    shots: int
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
