"""
Training: a plan becomes epoch after epoch, and at the end a model. Deaf to who listens.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import weights
from qstore_appliance.engine.backend import Backend
from qstore_appliance.engine.checkpoint import Checkpoint
from qstore_appliance.engine.course import Course
from qstore_appliance.engine.features import Features
from qstore_appliance.engine.landscape import Landscape
from qstore_appliance.engine.plan import EpochReport, Plan, Trained
from qstore_appliance.engine.problem import Part, Problem, pose, task_name
from qstore_appliance.engine.receipt import digest_of, receipt_of
from qstore_appliance.engine.remote_jobs import RemoteJobs
from qstore_appliance.engine.scoring import conclude, scored
from qstore_appliance.engine.spsa import Perturbation, Spsa
from qstore_appliance.engine.streams import generator
from qstore_appliance.engine.tasks.sampling import Sampling
from qstore_appliance.engine.training_step import TrainingStep
from qstore_appliance.errors import Cancelled, Diverged, ValidationFailed

__all__ = ["EpochReport", "Plan", "Trained", "Training"]

Floats = NDArray[np.float64]


class Training:
    """
    One run of a plan.

    Args:
        plan: what to train; with a checkpoint it goes on where that one was taken, bit for bit.
        remote_jobs: where a provider's jobs are written down; in memory, unless this process has something that lasts.
        on_degraded: told why the backend's provider is left alone, and None when it works.

    Raises:
        ValidationFailed, InvalidCircuit, DatasetMissing, BackendUnavailable, BackendCannot: the plan cannot be run.
        ArtifactCorrupt: the checkpoint cannot be read.
    """

    def __init__(
        self,
        plan: Plan,
        remote_jobs: RemoteJobs | None = None,
        on_degraded: Callable[[str | None], None] = lambda reason: None,
    ) -> None:
        self._sampling = Sampling(plan) if task_name(plan.config) == "sampling" else None
        self._descent = None if self._sampling is not None else _Descent(plan)
        for work in (self._sampling, self._descent):
            if work is not None:
                work.backend.remote_jobs = RemoteJobs(plan.remote_jobs) if remote_jobs is None else remote_jobs
                work.backend.on_degraded = on_degraded

    def epochs(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[EpochReport]:
        """
        Train, one report an epoch. A task that trains nothing does its work here and reports none.

        Args:
            should_stop: asked before every batch.

        Raises:
            Cancelled: `should_stop` said so.
            Diverged: loss or parameters are not finite any more; the last report's checkpoint is still good.
        """
        if self._descent is not None:
            yield from self._descent.epochs(should_stop)
        elif self._sampling is not None:
            self._sampling.run(should_stop)

    def finish(self) -> Trained:
        """
        Score the test part, once, and make the model: of the last epoch, or of the best where early stopping says so.
        """
        if self._sampling is not None:
            return self._sampling.finish()
        if self._descent is None:
            raise ValueError("a training either samples or descends")
        return self._descent.finish()


class _Descent:
    """A training that has something to learn."""

    def __init__(self, plan: Plan) -> None:
        self._cpu = time.process_time()
        checkpoint = None if plan.checkpoint is None else Checkpoint.unpack(plan.checkpoint)
        features = None if checkpoint is None else Features.from_state(*checkpoint.features)
        self._plan = plan
        self._problem: Problem = pose(plan, features)
        runner, task = self._problem.runner, self._problem.task
        names = runner.program.weight_names
        self._n_weights = len(names)
        start = weights.initial(names, plan.config.get("initial_parameters"), generator(plan.seed, "weights"))
        self._parameters: Floats = np.concatenate([start, task.initial(generator(plan.seed, "head"))])
        self._course = Course(plan.config, self._problem, len(self._parameters))
        self._landscape = Landscape(runner, task, self._n_weights)
        self._epoch = 0
        self._scores: dict[str, Any] = {}
        self._best_loss = math.inf
        self._reported = False
        if checkpoint is not None:
            self._restore(checkpoint)

    @property
    def backend(self) -> Backend:
        return self._problem.runner.backend

    def _restore(self, checkpoint: Checkpoint) -> None:
        fits = checkpoint.parameters.shape == self._parameters.shape
        if not fits or checkpoint.fingerprint != self._problem.fingerprint:
            raise ValidationFailed.field(
                "checkpoint", "it was made with another circuit, data set, readout, noise, optimizer or seed"
            )
        self._parameters = np.array(checkpoint.parameters, dtype=np.float64)
        self._course.optimizer.restore(*checkpoint.optimizer)
        self._course.health.restore(*checkpoint.health)
        if self._course.early_stopping is not None:
            self._course.early_stopping.restore(*checkpoint.early_stopping)
            if self._plan.goes_on:
                self._course.early_stopping.renew()
        self._epoch, self._scores, self._best_loss = checkpoint.epoch, dict(checkpoint.scores), checkpoint.best_loss

    def epochs(self, should_stop: Callable[[], bool]) -> Iterator[EpochReport]:
        self.backend.should_stop = should_stop
        began, done_before = time.perf_counter(), self._epoch
        stopping = self._course.early_stopping
        with np.errstate(all="ignore"):  # what is not finite is found and named below
            while self._epoch < self._course.total_epochs and not (stopping and stopping.stopped):
                started = time.perf_counter()
                self.backend.remote_jobs.enter(str(self._epoch + 1), self._epoch + 1)
                circuits = self._train_epoch(self._epoch + 1, should_stop) + self._validate(self._epoch + 1)
                self._epoch += 1
                self._best_loss = min(self._best_loss, self._scores["loss"])
                health, warnings = self._course.health.epoch()
                self._scores["health"] = health
                if stopping is not None:
                    watched = self._scores["val_loss"] if len(self._problem.validation) else self._scores["loss"]
                    stopping.observe(watched, self._parameters, self._scores)
                now = time.perf_counter()
                pace = (now - began) / (self._epoch - done_before)
                yield self._report(now - started, pace, circuits, warnings)

    def _train_epoch(self, epoch: int, should_stop: Callable[[], bool]) -> int:
        """One pass over the training part. Returns: circuits executed."""
        train, runner, task, seed = self._problem.train, self._problem.runner, self._problem.task, self._plan.seed
        course, parameters, n_weights = self._course, self._parameters, self._n_weights
        circuit_weights, head = parameters[:n_weights], parameters[n_weights:]
        gradient = np.empty_like(parameters)
        of_circuit = gradient[:n_weights]
        around = self._landscape if course.optimizer.asks else None
        order = generator(seed, "order", epoch).permutation(len(train))
        step = TrainingStep(runner, task)
        loss, correct, circuits = 0.0, 0, 0
        for start in range(0, len(train), course.batch_size):
            if should_stop():
                raise Cancelled
            rows = order[start : start + course.batch_size]
            x, y = train.x[rows], train.y[rows]
            execution = runner.execution(circuit_weights, x, runner.seed(seed, "shots", epoch, start))
            batch, of_circuit[:] = step(execution, y, head, self._perturbation(epoch, start))
            gradient[n_weights:] = batch.head_gradient
            if not math.isfinite(batch.loss):
                raise self._diverged(epoch)
            loss += batch.loss * len(rows)
            correct += batch.correct
            circuits += runner.circuits(len(rows), differentiate=True)
            course.health.observe(of_circuit, batch.cotangents)
            course.clip(gradient)
            if around is not None:
                around.stand(x, y, batch.loss, runner.seed(seed, "around", epoch, start))
            course.optimizer.step(parameters, gradient, around)
            if around is not None:
                circuits += around.circuits
        if not np.isfinite(parameters).all():
            raise self._diverged(epoch)
        accuracy = correct / len(train) if task.counts_hits else None
        self._scores = {"loss": loss / len(train), "accuracy": accuracy}
        return circuits

    def _perturbation(self, epoch: int, start: int) -> Perturbation | None:
        if self._problem.runner.gradient != "spsa":
            return None
        random = generator(self._plan.seed, "perturbation", epoch, start)
        optimizer = self._course.optimizer
        if isinstance(optimizer, Spsa):
            return Perturbation.draw(self._n_weights, random, optimizer.perturbation_size)
        return Perturbation.draw(self._n_weights, random)

    def _validate(self, epoch: int) -> int:
        """Score the validation part as the parameters are now. Returns: circuits executed."""
        part: Part = self._problem.validation
        self._scores |= {"val_loss": None, "val_accuracy": None}
        if not len(part):
            return 0
        runner, task = self._problem.runner, self._problem.task
        expectations = runner.expectations(
            self._parameters[: self._n_weights], part.x, runner.seed(self._plan.seed, "validation", epoch)
        )
        loss, correct = task.score(expectations, part.y, self._parameters[self._n_weights :])
        if not math.isfinite(loss):
            raise self._diverged(epoch)
        self._scores |= {"val_loss": loss, "val_accuracy": correct / len(part) if task.counts_hits else None}
        return runner.circuits(len(part), differentiate=False)

    def _diverged(self, epoch: int) -> Diverged:
        rate = self._course.optimizer.learning_rate
        return Diverged(
            f"The loss was not a finite number any more in epoch {epoch}; try a learning rate below {rate:g}.",
            details={"epoch": epoch, "learning_rate": rate},
        )

    def _report(self, seconds: float, pace: float, circuits: int, warnings: list[str]) -> EpochReport:
        scores, total = self._scores, self._course.total_epochs
        stopping = self._course.early_stopping
        message = f"Epoch {self._epoch}/{total}" + "".join(
            f" - {name}: {scores[name]:.{6 if self._problem.task.name == 'energy' else 4}f}"
            for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            if scores[name] is not None
        )
        # The number of threads is the job's own affair: a model is the same whatever it was.
        receipt = None if self._reported else receipt_of(self._plan, self._problem) | {"threads": self._plan.threads}
        self._reported = True
        ended = stopping is not None and stopping.stopped
        if ended:
            message += " - stopped early"
        return EpochReport(
            epoch=self._epoch,
            total_epochs=total,
            loss=scores["loss"],
            accuracy=scores["accuracy"],
            val_loss=scores["val_loss"],
            val_accuracy=scores["val_accuracy"],
            seconds=seconds,
            circuits=circuits,
            shots=circuits * (self._problem.runner.shots or 0),
            checkpoint=self._checkpoint().pack(),
            best_loss=self._best_loss,
            eta_seconds=0.0 if ended else pace * (total - self._epoch),
            message=message,
            health=scores["health"],
            warnings=warnings,
            digest=digest_of(self._parameters),
            receipt=receipt,
            cpu_seconds=self._cpu_seconds(),
            gpu_seconds=seconds if self.backend.capabilities.gpu else 0.0,
            finish_circuits=None if self._epoch < total and not ended else self._finish_circuits(),
        )

    def _cpu_seconds(self) -> float:
        """Since the last time that this was asked."""
        before, self._cpu = self._cpu, time.process_time()
        return self._cpu - before

    def _finish_circuits(self) -> int:
        return self._problem.runner.circuits(len(scored(self._problem)), differentiate=False)

    def _checkpoint(self) -> Checkpoint:
        stopping = self._course.early_stopping
        return Checkpoint(
            epoch=self._epoch,
            fingerprint=self._problem.fingerprint,
            parameters=self._parameters,
            optimizer=self._course.optimizer.state(),
            features=self._problem.features.to_state(),
            early_stopping=({}, {}) if stopping is None else stopping.state(),
            scores=self._scores,
            best_loss=self._best_loss,
            health=self._course.health.state(),
        )

    def finish(self) -> Trained:
        if self._epoch == 0:
            raise ValidationFailed.field("config.epochs", "no epoch has been trained")
        parameters, scores = self._parameters, self._scores
        stopping = self._course.early_stopping
        if stopping is not None and stopping.restore_best and stopping.parameters is not None:
            parameters, scores = stopping.parameters, stopping.scores
        self.backend.remote_jobs.enter("finish", self._epoch + 1)
        started = time.perf_counter()
        trained = conclude(self._plan, self._problem, parameters, scores, self._epoch)
        held = time.perf_counter() - started if self.backend.capabilities.gpu else 0.0
        return msgspec.structs.replace(trained, cpu_seconds=self._cpu_seconds(), gpu_seconds=held)
