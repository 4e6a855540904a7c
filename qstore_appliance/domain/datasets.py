"""Data sets: built in, imported by the operator, uploaded by an organization."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """
    `id` is the name for built-in and imported ones, `dataset_…` for uploads.

    `source` is `builtin`, `imported` or `upload`. `digest` is `sha256:…` of the canonical file, None for built-in ones.
    """

    id: str
    name: str
    source: str
    n_samples: int
    n_features: int
    classes: list[str]
    digest: str | None
    organization_id: str | None = None
    user_id: str | None = None
    created_at: datetime | None = None
