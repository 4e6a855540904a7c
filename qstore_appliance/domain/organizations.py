"""Organizations, as the people in them see and choose them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import Field, StringConstraints

from qstore_appliance.domain.accounts import Name
from qstore_appliance.domain.drafts import Draft


class OwnOrganization(msgspec.Struct, frozen=True, kw_only=True):
    """One that somebody belongs to, and as what; `current` is where their session acts."""

    id: str
    name: str
    role: str
    current: bool


class SettingsPatch(Draft):
    """
    What is not sent stays. `allowed_backends` null is every backend that is installed; `max_storage_bytes` null is what the
    installation has (`limits.organization_bytes`); hardware is off unless `enable_hardware` says otherwise.
    """

    max_concurrent_jobs: int | None = Field(default=None, ge=1, le=10_000)
    allowed_backends: list[Annotated[str, StringConstraints(max_length=64)]] | None = Field(
        default=None, min_length=1, max_length=100
    )
    enable_hardware: bool | None = None
    max_storage_bytes: int | None = Field(default=None, ge=0, le=2**53)


class OrganizationPatch(Draft):
    name: Name | None = None
    settings: SettingsPatch | None = None


class SwitchDraft(Draft):
    organization_id: Annotated[str, StringConstraints(max_length=40)]
