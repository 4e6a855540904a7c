"""What an organization keeps, and how much it may."""

from __future__ import annotations

import msgspec

#: Each thing that is kept counts so much beside its own bytes, so that a million of small ones are not nothing.
THING_BYTES = 4_096


class StorageUse(msgspec.Struct, frozen=True, kw_only=True):
    """
    In bytes, `THING_BYTES` for each thing included.

    Attributes:
        limit_bytes: None where there is no limit.
        used_bytes: All of the following.
        datasets_bytes: Uploads, those included that were deleted and can still be restored.
        models_bytes: What was trained.
        checkpoints_bytes: The last ones of jobs, from which they go on.
    """

    limit_bytes: int | None
    used_bytes: int
    datasets_bytes: int
    models_bytes: int
    checkpoints_bytes: int
