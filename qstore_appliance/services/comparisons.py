"""Two models side by side. What may be compared is decided by what they were scored on, never by the scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qstore_appliance.domain.model_registry import Comparison, Difference, Lineage, MetricPair
from qstore_appliance.domain.models import Model

#: By the last word of a metric's path: whether more of it is better. Of others nothing is said.
MORE_IS_BETTER = {
    **dict.fromkeys(("accuracy", "f1_score", "r2"), True),
    **dict.fromkeys(("loss", "mae", "rmse", "energy", "energy_error", "energy_std_error"), False),
}
#: What a lineage says beside its receipt and config; not told twice.
_FIELDS = ("circuit_version", "circuit_digest", "dataset", "dataset_digest", "code_version", "backend", "seed")
#: The values that a training began with say nothing to people, and what was expected of it nothing of the model.
_UNTOLD_BELOW = ("config.initial_parameters.", "receipt.estimate.")
_UNTOLD = frozenset(
    (
        *(f"receipt.{field}" for field in _FIELDS),
        *("receipt.versions.qstore_appliance", "config.seed", "config.backend", "config.initial_parameters"),
    )
)
#: What decides, beside the seed, which samples are in the test part.
_SPLIT = ("train_size", "val_size", "classes")
MAX_DIFFERENCES = 200


def compared(a: Model, b: Model) -> Comparison:
    """Of two models of one organization."""
    lineage = (Lineage.of(a.lineage, a.training_job_id), Lineage.of(b.lineage, b.training_job_id))
    reasons = list(_reasons((a, b), lineage))
    digests = [one.circuit_digest for one in lineage]
    return Comparison(
        a=a.id,
        b=b.id,
        comparable=not reasons,
        reasons=reasons,
        metrics=list(_metrics(a.metrics, b.metrics, comparable=not reasons)),
        differences=list(_differences(lineage))[:MAX_DIFFERENCES],
        same_circuit=digests[0] is not None and digests[0] == digests[1],
        same_parameters=a.parameters == b.parameters,
    )


def _reasons(models: tuple[Model, Model], lineage: tuple[Lineage, Lineage]) -> Iterator[str]:
    a, b = lineage
    tasks = [one.receipt.get("task") for one in lineage]
    if tasks[0] != tasks[1]:
        yield f"They solve different tasks: {tasks[0] or 'unknown'} and {tasks[1] or 'unknown'}."
        return
    if tasks[0] == "energy":
        terms = [one.config.get("hamiltonian") for one in lineage]
        if terms[0] != terms[1]:
            yield "Their Hamiltonians differ, and so their energies."
        return
    if a.dataset_digest is None or a.dataset_digest != b.dataset_digest:
        yield f"They learned from different data: {a.dataset or 'unknown'} and {b.dataset or 'unknown'}."
        return
    parts = [model.metrics.get("scored_on", "test") for model in models]
    if parts[0] != parts[1]:
        yield f"One was scored on its {parts[0]} part, the other on its {parts[1]} part."
    splits = [[(one.config.get("dataset") or {}).get(key) for key in _SPLIT] for one in lineage]
    if splits[0] != splits[1]:
        yield "Their data was split in different sizes, or other classes were left out."
    elif a.seed != b.seed:
        yield f"Their data was split by different seeds ({a.seed} and {b.seed}): they were scored on different samples."


def _metrics(a: Mapping[str, Any], b: Mapping[str, Any], *, comparable: bool) -> Iterator[MetricPair]:
    first, second = dict(_numbers(a)), dict(_numbers(b))
    for name in dict.fromkeys((*first, *second)):
        x, y = first.get(name), second.get(name)
        difference = None if x is None or y is None else y - x
        more = MORE_IS_BETTER.get(_kind(name))
        better = None
        if comparable and difference and more is not None and not name.startswith("baseline."):
            better = "b" if (difference > 0) == more else "a"
        yield MetricPair(metric=name, a=x, b=y, difference=difference, better=better)


def _kind(name: str) -> str:
    return name.rpartition(".")[2].removeprefix("test_").removeprefix("validation_").removeprefix("training_")


def _numbers(metrics: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            yield f"{path}{name}", float(value)
        elif isinstance(value, Mapping) and name == "baseline":
            yield from _numbers(value, f"{path}{name}.")


def _differences(lineage: tuple[Lineage, Lineage]) -> Iterator[Difference]:
    sides = [
        {
            **{field: getattr(one, field) for field in _FIELDS},
            **dict(_leaves(one.config, "config.")),
            **dict(_leaves(one.receipt, "receipt.")),
        }
        for one in lineage
    ]
    for path in dict.fromkeys((*sides[0], *sides[1])):
        x, y = sides[0].get(path), sides[1].get(path)
        if x == y or path in _UNTOLD or path.startswith(_UNTOLD_BELOW):
            continue
        # What was asked for and what was done are mostly the same.
        asked = f"config.{path.removeprefix('receipt.')}" if path.startswith("receipt.") else ""
        if (sides[0].get(asked), sides[1].get(asked)) != (x, y):
            yield Difference(field=path, a=x, b=y)


def _leaves(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", inner
