"""What signing in needs beside the password: reset links, second factors, identities at a provider."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.database.tables.row import Row


class PasswordResetRow(Row):
    """A link that was mailed. What makes it a secret is computed from the id, and stands nowhere."""

    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="password_resets", on_delete=fields.CASCADE, db_index=True
    )
    user_id: str
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "password_resets"


class SecondFactorRow(Row):
    """The secret that an authenticator shares with us, sealed; asked for once `confirmed_at` is set."""

    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="second_factors", on_delete=fields.CASCADE
    )
    user_id: str
    secret = fields.CharField(max_length=255)
    #: The newest half minute whose code was taken: that code and the ones before it are spent.
    last_step = fields.BigIntField(default=0)
    created_at = fields.DatetimeField()
    confirmed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "second_factors"
        unique_together = (("user_id",),)


class RecoveryCodeRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="recovery_codes", on_delete=fields.CASCADE, db_index=True
    )
    user_id: str
    code_hash = fields.CharField(max_length=64)
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "recovery_codes"


class IdentityRow(Row):
    """Who a user is at the OpenID Connect provider: its subject never changes, an e-mail address may."""

    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="identities", on_delete=fields.CASCADE
    )
    user_id: str
    issuer = fields.CharField(max_length=255)
    subject = fields.CharField(max_length=255)
    created_at = fields.DatetimeField()
    last_used = fields.DatetimeField()

    class Meta:
        table = "identities"
        unique_together = (("issuer", "subject"), ("user_id", "issuer"))
