"""
What jobs have sent to providers: noted before it is sent, so that it is found again, and kept afterwards as the record of
what was paid for. No foreign keys: deleting a job erases no spend.
"""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.engine.remote_jobs import RemoteJob


class RemoteJobRow(Row):
    token = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    job_id = fields.CharField(max_length=40)
    backend = fields.CharField(max_length=50)
    key = fields.CharField(max_length=50)
    epoch = fields.IntField()
    digest = fields.CharField(max_length=64)
    external_id = fields.CharField(max_length=64, null=True)
    status = fields.CharField(max_length=20)
    circuits = fields.IntField()
    shots = fields.BigIntField()
    #: Micro-dollars that the provider says it charged; None where it does not say.
    charged = fields.BigIntField(null=True)
    #: The last time that somebody was about to send it.
    noted_at = fields.DatetimeField()
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "remote_jobs"
        indexes = (("job_id", "epoch"), ("status", "job_id"))

    def to_domain(self) -> RemoteJob:
        return RemoteJob(
            token=self.token,
            key=self.key,
            epoch=self.epoch,
            digest=self.digest,
            circuits=self.circuits,
            shots=self.shots,
            external_id=self.external_id,
            status=self.status,
            charged=self.charged,
            noted_at=self.noted_at.timestamp(),
        )
