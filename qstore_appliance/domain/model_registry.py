"""The registry of models: versions that follow each other, stages, notes and tags, where a model comes from, two compared."""

from __future__ import annotations

import enum
import re
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, Field, StringConstraints

from qstore_appliance.domain.accounts import Name
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.models import ModelStatus

MAX_TAGS = 50
#: Digits of one number of a version: it has to fit into four bytes of the key that versions are sorted by.
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?")


class Stage(enum.StrEnum):
    """A label that one version of a name has at a time; whoever is promoted takes it from the one before."""

    #: Tried before it is used.
    STAGING = "staging"
    #: The version to use.
    PRODUCTION = "production"


def version_key(version: str) -> str:
    """
    A text by which versions sort as Semantic Versioning 2.0.0 §11 says, whatever the database's collation.

    Hexadecimal digits: four bytes for each number, then the pre-release's identifiers, numbers before words and less
    before more; a release comes after all of its pre-releases.

    Raises:
        ValueError: It is no semantic version, or it has a build (§10), which would not tell two versions apart.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError("must be MAJOR.MINOR.PATCH, or MAJOR.MINOR.PATCH-PRERELEASE, as 2.1.0 or 2.1.0-rc.1")
    key = b"".join(int(number).to_bytes(4, "big") for number in match.group(1, 2, 3))
    if match[4] is None:
        return (key + b"\xff").hex()
    for identifier in match[4].split("."):
        numeric = identifier.isdecimal()
        key += bytes((1, len(identifier))) + identifier.encode() if numeric else b"\2" + identifier.encode() + b"\0"
    return (key + b"\0").hex()


def _semantic(version: str) -> str:
    version_key(version)
    return version


Version = Annotated[str, StringConstraints(max_length=50), AfterValidator(_semantic)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^,]*$")]
Notes = Annotated[str, StringConstraints(max_length=10_000)]


class ModelPatch(Draft):
    """None is "not sent"; `tags` are replaced as a whole."""

    name: Name | None = None
    version: Version | None = None
    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None = None


class PromoteDraft(Draft):
    """`stage` null takes the label away."""

    stage: Annotated[Stage, Field(strict=False)] | None


class CompareDraft(Draft):
    """The ids of two models."""

    a: Annotated[str, StringConstraints(max_length=40)]
    b: Annotated[str, StringConstraints(max_length=40)]


class ModelFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`tags`: any of them."""

    status: ModelStatus | None = None
    name: str | None = None
    stage: Stage | None = None
    circuit_id: str | None = None
    tags: tuple[str, ...] = ()


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a model comes from. `circuit_version` is that of the stored circuit when the job was submitted, and
    `code_version` that of the appliance which trained; `receipt` and `config` are the job's. `imported` says, of a model
    that came in an archive, who signed it.
    """

    circuit_version: int | None
    circuit_digest: str | None
    dataset: str | None
    dataset_digest: str | None
    training_job_id: str | None
    continued_from: str | None
    code_version: str | None
    backend: str | None
    seed: int | None
    config: dict[str, Any]
    receipt: dict[str, Any]
    imported: dict[str, Any] | None

    @classmethod
    def of(cls, stored: dict[str, Any], training_job_id: str | None) -> Lineage:
        """Args: stored: `circuit_version`, `config`, `receipt`, `continued_from` and `imported`, as a row keeps them."""
        receipt, config = stored.get("receipt") or {}, stored.get("config") or {}
        dataset = receipt.get("dataset") or (config.get("dataset") or {}).get("type")
        return cls(
            circuit_version=stored.get("circuit_version"),
            circuit_digest=receipt.get("circuit_digest"),
            dataset=dataset,
            dataset_digest=receipt.get("dataset_digest"),
            training_job_id=training_job_id or (stored.get("imported") or {}).get("training_job_id"),
            continued_from=stored.get("continued_from"),
            code_version=(receipt.get("versions") or {}).get("qstore_appliance"),
            backend=receipt.get("backend"),
            seed=receipt.get("seed"),
            config=config,
            receipt=receipt,
            imported=stored.get("imported"),
        )


class MetricPair(msgspec.Struct, frozen=True, kw_only=True):
    """One number of two models. `better` is `a` or `b`; null where they are equal, or more is not better or worse."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    better: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs, by its path, such as `config.epochs`."""

    field: str
    a: Any
    b: Any


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """
    Two models side by side. Scores say which model is better only where both were scored on the same samples:
    `comparable`, else `reasons` why not. `same_circuit` and `same_parameters` go by digests and values.
    """

    a: str
    b: str
    comparable: bool
    reasons: list[str]
    metrics: list[MetricPair]
    differences: list[Difference]
    same_circuit: bool
    same_parameters: bool
