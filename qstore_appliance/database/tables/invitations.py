"""Links that were given to somebody who is to become a member."""

from __future__ import annotations

from datetime import datetime

from tortoise import fields

from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.invitations import Invitation, InvitationStatus


class InvitationRow(Row):
    """What makes its link a secret is computed from the id, and stands nowhere."""

    id = fields.CharField(max_length=40, primary_key=True)
    organization: fields.ForeignKeyRelation[OrganizationRow] = fields.ForeignKeyField(
        "qstore.OrganizationRow", related_name="invitations", on_delete=fields.RESTRICT, db_index=True
    )
    organization_id: str
    email = fields.CharField(max_length=255)
    role = fields.CharField(max_length=50)
    invited_by = fields.CharField(max_length=40)
    mailed = fields.BooleanField(default=False)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    accepted_at = fields.DatetimeField(null=True)
    accepted_by = fields.CharField(max_length=40, null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "invitations"

    def to_domain(self, now: datetime, link: str | None = None) -> Invitation:
        return Invitation(
            id=self.id,
            email=self.email,
            role=self.role,
            status=self.status(now),
            invited_by=self.invited_by,
            mailed=self.mailed,
            created_at=self.created_at,
            expires_at=self.expires_at,
            accepted_at=self.accepted_at,
            link=link,
        )

    def status(self, now: datetime) -> InvitationStatus:
        if self.accepted_at is not None:
            return InvitationStatus.ACCEPTED
        if self.revoked_at is not None:
            return InvitationStatus.REVOKED
        return InvitationStatus.PENDING if self.expires_at > now else InvitationStatus.EXPIRED
