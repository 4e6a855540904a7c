"""Passwords: what a user sends to change their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from qstore_appliance.domain.accounts import Password
from qstore_appliance.domain.drafts import Draft


class PasswordChange(Draft):
    current_password: Annotated[str, StringConstraints(max_length=256)]
    password: Password


class ResetWish(Draft):
    email: Annotated[str, StringConstraints(max_length=255)]


class Reset(Draft):
    """`token`: what stands behind the `#` of the link that was mailed."""

    token: Annotated[str, StringConstraints(max_length=200)]
    password: Password
