"""Organizations, as the people in them see and choose them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import StringConstraints

from qstore_appliance.domain.accounts import Role
from qstore_appliance.domain.drafts import Draft


class OwnOrganization(msgspec.Struct, frozen=True, kw_only=True):
    """One that somebody belongs to, and as what; `current` is where their session acts."""

    id: str
    name: str
    role: Role
    current: bool


class SwitchDraft(Draft):
    organization_id: Annotated[str, StringConstraints(max_length=40)]
