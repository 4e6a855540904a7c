"""The audit log, the last entry of each chain, and the addresses that keys are known to come from."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.audit import Entry


class AuditRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    chain = fields.CharField(max_length=40)
    seq = fields.BigIntField()
    at = fields.DatetimeField()
    action = fields.CharField(max_length=40)
    actor = fields.CharField(max_length=255)
    user_id = fields.CharField(max_length=40)
    key_id = fields.CharField(max_length=40)
    address = fields.CharField(max_length=64)
    subject = fields.CharField(max_length=255)
    #: JSON as text: its very letters are hashed.
    details = fields.TextField()
    previous = fields.CharField(max_length=64)
    hash = fields.CharField(max_length=64)

    class Meta:
        table = "audit_entries"
        unique_together = (("chain", "seq"),)

    def to_domain(self) -> Entry:
        return Entry(**{name: getattr(self, name) for name in Entry.__struct_fields__})


class AuditHeadRow(Row):
    """The last entry of a chain: without it, taking away the newest entries would not be noticed."""

    chain = fields.CharField(max_length=40, primary_key=True)
    seq = fields.BigIntField()
    hash = fields.CharField(max_length=64)

    class Meta:
        table = "audit_heads"


class KeyAddressRow(Row):
    """`id` is the key's id, `@`, and the address or IPv6 site."""

    id = fields.CharField(max_length=120, primary_key=True)
    key_id = fields.CharField(max_length=40, db_index=True)
    first_used = fields.DatetimeField()

    class Meta:
        table = "api_key_addresses"
