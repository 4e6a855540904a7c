"""A stored circuit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, StringConstraints, field_validator

from qstore_appliance.domain.accounts import Name
from qstore_appliance.domain.drafts import Draft

MAX_METADATA_BYTES = 10_000
MAX_TAGS = 50

#: Far beyond what the engine takes, which says so by itself; more are not even looked at.
MAX_GATE_ROWS = 100_000

Gates = Annotated[list[dict[str, Any]], Field(max_length=MAX_GATE_ROWS)]
Description = Annotated[str, StringConstraints(max_length=4_000)]


class StoredCircuit(msgspec.Struct, frozen=True, kw_only=True):
    """`circuit_definition` is `{"format": "unified", "gates": […]}` (circuit formats, A)."""

    id: str
    organization_id: str
    user_id: str
    name: str
    description: str | None
    n_qubits: int
    depth: int
    gate_count: int
    parameters: dict[str, Any]
    circuit_definition: dict[str, Any]
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def tags(self) -> list[str]:
        return list(self.metadata.get("tags", []))

    @property
    def entity_tag(self) -> str:
        """Another one after each change (RFC 9110 §8.8.3)."""
        return f'"{self.version}-{self.updated_at:%Y%m%d%H%M%S%f}"'


class CircuitHead(msgspec.Struct, frozen=True, kw_only=True):
    """All of a circuit but its gates and parameters, which may be megabytes."""

    id: str
    user_id: str
    name: str
    description: str | None
    n_qubits: int
    depth: int
    gate_count: int
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def tags(self) -> list[str]:
        return list(self.metadata.get("tags", []))


class CircuitSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a list: no gates."""

    id: str
    name: str
    n_qubits: int
    depth: int
    gate_count: int
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


def checked_metadata(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """
    Raises:
        ValueError: Larger than 10 KB as JSON, or `tags` is not a list of short strings.
    """
    if metadata is None:
        return None
    if len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        raise ValueError(f"larger than {MAX_METADATA_BYTES} bytes as JSON")
    tags = metadata.get("tags", [])
    if not isinstance(tags, list) or len(tags) > MAX_TAGS:
        raise ValueError(f"tags must be a list of at most {MAX_TAGS} strings")
    if not all(isinstance(tag, str) and 0 < len(tag) <= 100 for tag in tags):
        raise ValueError("each tag must be a string of 1 to 100 characters")
    return metadata


class CircuitDraft(Draft):
    """`gates` in any of the four JSON spellings; the reader of `engine/formats/unified.py` judges them."""

    name: Name
    n_qubits: int
    gates: Gates
    description: Description | None = None
    parameters: dict[str, Any] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    _metadata = field_validator("metadata")(checked_metadata)


#: What a circuit can be imported from and written as; `engine/formats/spelling.py` reads and writes them.
Format = Literal["unified", "qstore4", "ionq", "ionq_native", "qasm2", "qasm3"]


class CircuitImport(Draft):
    """`source` is a program's text, or the object of a format that is JSON."""

    name: Name
    format: Format
    source: str | dict[str, Any]
    description: Description | None = None
    parameters: dict[str, Any] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    _metadata = field_validator("metadata")(checked_metadata)


class CircuitPatch(Draft):
    """None is "not sent"; new gates make a new version."""

    name: Name | None = None
    description: Description | None = None
    n_qubits: int | None = None
    gates: Gates | None = None
    parameters: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None

    _metadata = field_validator("metadata")(checked_metadata)
