"""
Training: a plan becomes epoch after epoch, and at the end a model. Deaf to who listens.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import optimizers, weights
from qstore_appliance.engine.checkpoint import Checkpoint
from qstore_appliance.engine.early_stopping import EarlyStopping
from qstore_appliance.engine.features import Features
from qstore_appliance.engine.plan import EpochReport, Plan, Trained
from qstore_appliance.engine.problem import Part, Problem, pose, shot_seed
from qstore_appliance.engine.scoring import conclude
from qstore_appliance.engine.streams import generator
from qstore_appliance.engine.tasks.classification import Batch
from qstore_appliance.errors import Cancelled, Diverged, ValidationFailed

__all__ = ["EpochReport", "Plan", "Trained", "Training"]

Floats = NDArray[np.float64]


class Training:
    """
    One run of a plan.

    Args:
        plan: what to train; with a checkpoint it goes on where that one was taken, bit for bit.

    Raises:
        ValidationFailed, InvalidCircuit, DatasetMissing, BackendUnavailable, BackendCannot: the plan cannot be run.
        ArtifactCorrupt: the checkpoint cannot be read.
    """

    def __init__(self, plan: Plan) -> None:
        checkpoint = None if plan.checkpoint is None else Checkpoint.unpack(plan.checkpoint)
        features = None if checkpoint is None else Features.from_state(*checkpoint.features)
        self._plan = plan
        self._problem: Problem = pose(plan, features)
        config = plan.config
        self._total_epochs = _positive(config, "epochs", 10)
        self._batch_size = _positive(config, "batch_size", 32)
        program, task = self._problem.runner.program, self._problem.task
        self._n_weights = program.n_weights
        start = weights.initial(program.weight_names, config.get("initial_parameters"), generator(plan.seed, "weights"))
        self._parameters: Floats = np.concatenate([start, task.initial(generator(plan.seed, "head"))])
        self._optimizer = optimizers.create(
            config.get("optimizer") or "adam",
            len(self._parameters),
            float(0.01 if config.get("learning_rate") is None else config["learning_rate"]),
            config.get("schedule") or "cosine",
            total_steps=self._total_epochs * -(-len(self._problem.train) // self._batch_size),
            momentum=config.get("momentum"),
        )
        stopping = config.get("early_stopping")
        self._early_stopping = EarlyStopping(stopping) if stopping else None
        self._epoch = 0
        self._scores: dict[str, Any] = {}
        self._best_loss = math.inf
        if checkpoint is not None:
            self._restore(checkpoint)

    def _restore(self, checkpoint: Checkpoint) -> None:
        fits = checkpoint.parameters.shape == self._parameters.shape
        if not fits or checkpoint.fingerprint != self._problem.fingerprint:
            raise ValidationFailed.field(
                "checkpoint", "it was made with another circuit, data set, readout, optimizer or seed"
            )
        self._parameters = np.array(checkpoint.parameters, dtype=np.float64)
        self._optimizer.restore(*checkpoint.optimizer)
        if self._early_stopping is not None:
            self._early_stopping.restore(*checkpoint.early_stopping)
        self._epoch, self._scores, self._best_loss = checkpoint.epoch, dict(checkpoint.scores), checkpoint.best_loss

    def epochs(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[EpochReport]:
        """
        Train, one report an epoch.

        Args:
            should_stop: asked before every batch.

        Raises:
            Cancelled: `should_stop` said so.
            Diverged: loss or parameters are not finite any more; the last report's checkpoint is still good.
        """
        began, done_before = time.perf_counter(), self._epoch
        with np.errstate(all="ignore"):  # what is not finite is found and named below
            while self._epoch < self._total_epochs and not (self._early_stopping and self._early_stopping.stopped):
                started = time.perf_counter()
                circuits = self._train_epoch(self._epoch + 1, should_stop) + self._validate(self._epoch + 1)
                self._epoch += 1
                self._best_loss = min(self._best_loss, self._scores["loss"])
                if self._early_stopping is not None:
                    watched = self._scores["val_loss"] if len(self._problem.validation) else self._scores["loss"]
                    self._early_stopping.observe(watched, self._parameters, self._scores)
                now = time.perf_counter()
                pace = (now - began) / (self._epoch - done_before)
                yield self._report(now - started, pace, circuits)

    def _train_epoch(self, epoch: int, should_stop: Callable[[], bool]) -> int:
        """One pass over the training part. Returns: circuits executed."""
        train, runner, task, seed = self._problem.train, self._problem.runner, self._problem.task, self._plan.seed
        circuit_weights, head = self._parameters[: self._n_weights], self._parameters[self._n_weights :]
        gradient = np.empty_like(self._parameters)
        order = generator(seed, "order", epoch).permutation(len(train))
        batch: Batch
        y = train.y

        def pullback(expectations: Floats) -> Floats:
            nonlocal batch
            batch = task.differentiate(expectations, y, head)
            return batch.cotangents

        loss, correct, circuits = 0.0, 0, 0
        for start in range(0, len(train), self._batch_size):
            if should_stop():
                raise Cancelled
            rows = order[start : start + self._batch_size]
            y = train.y[rows]
            execution = runner.execution(circuit_weights, train.x[rows], shot_seed(runner, seed, "shots", epoch, start))
            _, gradient[: self._n_weights] = runner.differentiate(execution, pullback)
            gradient[self._n_weights :] = batch.head_gradient
            if not math.isfinite(batch.loss):
                raise self._diverged(epoch)
            self._optimizer.step(self._parameters, gradient)
            loss += batch.loss * len(rows)
            correct += batch.correct
            circuits += runner.circuits(len(rows), differentiate=True)
        if not np.isfinite(self._parameters).all():
            raise self._diverged(epoch)
        self._scores = {"loss": loss / len(train), "accuracy": correct / len(train)}
        return circuits

    def _validate(self, epoch: int) -> int:
        """Score the validation part as the parameters are now. Returns: circuits executed."""
        part: Part = self._problem.validation
        self._scores |= {"val_loss": None, "val_accuracy": None}
        if not len(part):
            return 0
        runner = self._problem.runner
        expectations = runner.expectations(
            self._parameters[: self._n_weights], part.x, shot_seed(runner, self._plan.seed, "validation", epoch)
        )
        loss, correct = self._problem.task.score(expectations, part.y, self._parameters[self._n_weights :])
        if not math.isfinite(loss):
            raise self._diverged(epoch)
        self._scores |= {"val_loss": loss, "val_accuracy": correct / len(part)}
        return runner.circuits(len(part), differentiate=False)

    def _diverged(self, epoch: int) -> Diverged:
        rate = self._optimizer.learning_rate
        return Diverged(
            f"The loss was not a finite number any more in epoch {epoch}; try a learning rate below {rate:g}.",
            details={"epoch": epoch, "learning_rate": rate},
        )

    def _report(self, seconds: float, pace: float, circuits: int) -> EpochReport:
        scores = self._scores
        total = self._total_epochs
        message = f"Epoch {self._epoch}/{total} - loss: {scores['loss']:.4f} - accuracy: {scores['accuracy']:.4f}"
        if scores["val_loss"] is not None:
            message += f" - val_loss: {scores['val_loss']:.4f} - val_accuracy: {scores['val_accuracy']:.4f}"
        ended = self._early_stopping is not None and self._early_stopping.stopped
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
        )

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(
            epoch=self._epoch,
            fingerprint=self._problem.fingerprint,
            parameters=self._parameters,
            optimizer=self._optimizer.state(),
            features=self._problem.features.to_state(),
            early_stopping=({}, {}) if self._early_stopping is None else self._early_stopping.state(),
            scores=self._scores,
            best_loss=self._best_loss,
        )

    def finish(self) -> Trained:
        """
        Score the test part, once, and make the model: of the last epoch, or of the best where early stopping says so.
        """
        if self._epoch == 0:
            raise ValidationFailed.field("config.epochs", "no epoch has been trained")
        parameters, scores = self._parameters, self._scores
        stopping = self._early_stopping
        if stopping is not None and stopping.restore_best and stopping.parameters is not None:
            parameters, scores = stopping.parameters, stopping.scores
        return conclude(self._plan, self._problem, parameters, scores, self._epoch)


def _positive(config: dict[str, Any], key: str, default: int) -> int:
    value = default if config.get(key) is None else config[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationFailed.field(f"config.{key}", "must be a whole number of at least 1")
    return value
