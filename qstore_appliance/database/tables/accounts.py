"""Organizations, users, API keys, sessions, and the one-time set-up token."""

from __future__ import annotations

from typing import Any

import msgspec
from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.accounts import ApiKey, Organization, OrganizationSettings, User
from qstore_appliance.domain.sessions import Kind, Method, Session


class OrganizationRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    name = fields.CharField(max_length=255)
    plan = fields.CharField(max_length=50, default="laboratory")
    settings: dict[str, Any] = fields.JSONField(default=dict)
    #: When the last of its jobs was taken, for the order in which organizations take turns.
    job_started_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "organizations"

    def to_domain(self) -> Organization:
        return Organization(
            id=self.id,
            name=self.name,
            plan=self.plan,
            settings=msgspec.convert(self.settings, OrganizationSettings),
            created_at=self.created_at,
        )


class UserRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    email = fields.CharField(max_length=255, unique=True)
    name = fields.CharField(max_length=255)
    password_hash = fields.CharField(max_length=255)
    #: Where signing in begins; what somebody may do, and where, their memberships say.
    organization: fields.ForeignKeyRelation[OrganizationRow] = fields.ForeignKeyField(
        "qstore.OrganizationRow", related_name="users", on_delete=fields.RESTRICT, db_index=True
    )
    organization_id: str
    #: From before there were memberships. No column is ever dropped; nothing reads this one.
    role = fields.CharField(max_length=50, default="")
    operator = fields.BooleanField(default=False)
    #: False of who came by an invitation's link, which others have seen too, until they have shown that it is theirs.
    email_proven = fields.BooleanField(default=True, db_default=True)
    disabled = fields.BooleanField(default=False)
    preferences: dict[str, Any] = fields.JSONField(default=dict)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    last_active = fields.DatetimeField(null=True)

    class Meta:
        table = "users"

    def to_domain(self, organization_id: str, role: str) -> User:
        """As who they are in one of their organizations."""
        return User(
            id=self.id,
            email=self.email,
            name=self.name,
            organization_id=organization_id,
            role=role,
            operator=self.operator,
            disabled=self.disabled,
            preferences=self.preferences,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class ApiKeyRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="api_keys", on_delete=fields.CASCADE, db_index=True
    )
    user_id: str
    organization_id = fields.CharField(max_length=40, db_index=True)
    key_hash = fields.CharField(max_length=255, unique=True)
    key_prefix = fields.CharField(max_length=20)
    name = fields.CharField(max_length=255)
    scopes: list[str] = fields.JSONField(default=list)
    environment = fields.CharField(max_length=10)
    rate_limit = fields.IntField(default=1000)
    last_used = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "api_keys"

    def to_domain(self) -> ApiKey:
        return ApiKey(
            id=self.id,
            prefix=self.key_prefix,
            name=self.name,
            scopes=list(self.scopes),
            environment=self.environment,
            rate_limit=self.rate_limit,
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_used=self.last_used,
            user_id=self.user_id,
        )


class SessionRow(Row):
    """A sign-in. `refresh_hash` is the one refresh token that is good now; `cookie_hash` the dashboard's cookie."""

    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="sessions", on_delete=fields.CASCADE, db_index=True
    )
    user_id: str
    organization_id = fields.CharField(max_length=40)
    kind = fields.CharField(max_length=10)
    #: How they proved who they are: `domain.sessions.Method`.
    method = fields.CharField(max_length=20, default="password", db_default="password")
    refresh_hash = fields.CharField(max_length=64, null=True, db_index=True)
    previous_hash = fields.CharField(max_length=64, null=True, db_index=True)
    rotated_at = fields.DatetimeField(null=True)
    cookie_hash = fields.CharField(max_length=64, null=True, unique=True)
    address = fields.CharField(max_length=64, default="")
    agent = fields.CharField(max_length=200, default="")
    created_at = fields.DatetimeField(auto_now_add=True)
    last_used = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField()
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "sessions"

    def to_domain(self) -> Session:
        return Session(
            id=self.id,
            user_id=self.user_id,
            kind=Kind(self.kind),
            method=Method(self.method),
            address=self.address,
            agent=self.agent,
            created_at=self.created_at,
            last_used=self.last_used,
            expires_at=self.expires_at,
        )


class SetupRow(Row):
    """The one-time token that makes the first owner; kept as a hash, gone once used."""

    id = fields.CharField(max_length=40, primary_key=True)
    token_hash = fields.CharField(max_length=64)
    expires_at = fields.DatetimeField()

    class Meta:
        table = "setup"
