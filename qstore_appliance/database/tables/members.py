"""Who belongs to which organization, and as what."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.accounts import OrganizationRow, UserRow
from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.members import Member


class MembershipRow(Row):
    """A person in an organization. Its role alone says what they may do there: one of the four, or of `roles`."""

    id = fields.CharField(max_length=40, primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "qstore.UserRow", related_name="memberships", on_delete=fields.CASCADE
    )
    user_id: str
    organization: fields.ForeignKeyRelation[OrganizationRow] = fields.ForeignKeyField(
        "qstore.OrganizationRow", related_name="memberships", on_delete=fields.RESTRICT, db_index=True
    )
    organization_id: str
    role = fields.CharField(max_length=50)
    #: Kept out of this organization; `users.disabled` keeps out of the installation.
    disabled = fields.BooleanField(default=False)
    last_active = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "memberships"
        unique_together = (("user_id", "organization_id"),)

    def to_domain(self) -> Member:
        """With `user` fetched."""
        return Member(
            id=self.user_id,
            email=self.user.email,
            name=self.user.name,
            role=self.role,
            disabled=self.disabled or self.user.disabled,
            last_active=self.last_active,
            created_at=self.created_at,
        )
