"""Roles, scopes and callers."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from qstore_appliance.domain.accounts import SCOPES, ApiKeyDraft, Caller, Role, allows, is_scope
from qstore_appliance.errors import Forbidden


def test_each_role_has_all_of_the_one_below() -> None:
    """Viewer, developer, admin and owner grow, and none is empty."""
    roles = list(Role)

    assert SCOPES[Role.VIEWER]
    assert all(SCOPES[low] < SCOPES[high] for low, high in itertools.pairwise(roles))


@pytest.mark.parametrize(
    ("role", "scope", "may"),
    [
        (Role.VIEWER, "circuits:read", True),
        (Role.VIEWER, "models:predict", True),
        (Role.VIEWER, "circuits:write", False),
        (Role.VIEWER, "jobs:submit", False),
        (Role.DEVELOPER, "jobs:submit", True),
        (Role.DEVELOPER, "jobs:cancel", True),
        (Role.DEVELOPER, "billing:write", False),
        (Role.DEVELOPER, "users:read", False),
        (Role.ADMIN, "billing:write", True),
        (Role.ADMIN, "users:invite", True),
        (Role.ADMIN, "organization:delete", False),
        (Role.OWNER, "organization:delete", True),
    ],
)
def test_the_permission_table(role: Role, scope: str, may: bool) -> None:
    """The rows of the specification's and the API details' permission tables hold."""
    assert allows(SCOPES[role], scope) is may


@pytest.mark.parametrize(
    ("scope", "known"),
    [
        ("circuits:*", True),
        ("jobs:submit", True),
        ("*", False),
        ("moon:read", False),
        ("circuits:fly", True),
        ("backends:write", False),
    ],
)
def test_known_scopes(scope: str, known: bool) -> None:
    """A scope is known where some role could have it: resources with a wildcard take any action."""
    assert is_scope(scope) is known


def test_a_caller_without_the_scope_is_forbidden_by_name() -> None:
    """The error says which permission is missing."""
    caller = Caller(
        user_id="user_1", organization_id="org_1", email="a@b", role=Role.VIEWER, scopes=SCOPES[Role.VIEWER]
    )

    with pytest.raises(Forbidden) as raised:
        caller.require("circuits:write")

    assert raised.value.details == {"permission": "circuits:write"}


@pytest.mark.parametrize("rate", [0, -1, 1.5, True, "10", 10**9])
def test_a_keys_rate_limit_is_a_positive_whole_number(rate: object) -> None:
    """Zero, negative, fractional, boolean, textual and absurd rates are refused."""
    with pytest.raises(ValidationError):
        ApiKeyDraft.model_validate({"name": "k", "scopes": ["jobs:read"], "rate_limit": rate})
