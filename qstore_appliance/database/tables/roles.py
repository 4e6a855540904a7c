"""Roles that organizations have made for themselves; memberships and invitations name them."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.roles import OrganizationRole


class RoleRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization: fields.ForeignKeyRelation[OrganizationRow] = fields.ForeignKeyField(
        "qstore.OrganizationRow", related_name="roles", on_delete=fields.RESTRICT
    )
    organization_id: str
    name = fields.CharField(max_length=50)
    description = fields.CharField(max_length=255)
    permissions: list[str] = fields.JSONField(default=list)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "roles"
        unique_together = (("organization_id", "name"),)

    def to_domain(self, members: int) -> OrganizationRole:
        return OrganizationRole(
            name=self.name,
            description=self.description,
            permissions=list(self.permissions),
            built_in=False,
            members=members,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )
