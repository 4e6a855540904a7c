"""Models in archives: what is inside, who signed it, what comes in."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import AwareDatetime, Field, StringConstraints

from qstore_appliance.domain.accounts import Name
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.model_registry import MAX_TAGS, Notes, Tag, Version


class Standing(enum.StrEnum):
    """What this installation makes of a key."""

    #: Its own.
    OWN = "own"
    #: The operator has put it among the trusted keys.
    TRUSTED = "trusted"
    #: Anybody's: the signature is right, and says nothing of who made it.
    UNKNOWN = "unknown"


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Whose an Ed25519 key is. `public_key` in base 64; `fingerprint` is what people read to each other; `name` that of the
    file among the trusted keys.
    """

    fingerprint: str
    public_key: str
    standing: Standing
    name: str | None = None


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that is whole and rightly signed: which model is in it, and whose signature it is."""

    signer: Signer
    format: int
    exported_at: datetime
    written_by: str
    name: str
    version: str
    task: str
    n_qubits: int
    n_gates: int
    classes: list[str]
    n_features: int
    metrics: dict[str, Any]
    receipt: dict[str, Any]
    artifact_digest: str
    size_bytes: int


class PackedLineage(Draft):
    """What a model's row keeps of where it comes from; its receipt is a part of its own."""

    circuit_version: int | None
    config: dict[str, Any]
    continued_from: Annotated[str, StringConstraints(max_length=40)] | None
    imported: dict[str, Any] | None


class PackedModel(Draft):
    """`model.json` of an archive."""

    id: Annotated[str, StringConstraints(max_length=40)]
    name: Name
    version: Version
    notes: Notes | None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)]
    task: Annotated[str, StringConstraints(max_length=50)]
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    lineage: PackedLineage
    training_job_id: Annotated[str, StringConstraints(max_length=40)] | None
    created_at: Annotated[AwareDatetime, Field(strict=False)]


class PackedManifest(Draft):
    """`manifest.json`; the parts have been held against `files`."""

    format: str
    version: int
    exported_at: Annotated[AwareDatetime, Field(strict=False)]
    written_by: Annotated[str, StringConstraints(max_length=100)]
    files: dict[str, Any]
