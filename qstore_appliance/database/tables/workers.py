"""
Machines that take jobs, each with its last heartbeat.

Installation-wide, so without organizations. One row for each running process: it is deleted when that ends in order, and
by the next one of the same data directory when it did not.
"""

from __future__ import annotations

from typing import Any

import msgspec
from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.workers import Worker, WorkerKind
from qstore_appliance.engine.discovery import Description


def _described(backends: dict[str, Any]) -> dict[str, Description]:
    try:
        return msgspec.convert(backends, dict[str, Description])
    except msgspec.ValidationError:
        # Written by another version, while an installation is brought up to date machine by machine.
        return {}


class WorkerRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    #: What stands in the leases of its jobs.
    owner = fields.CharField(max_length=80)
    #: The first part of that: the same for every process of one data directory.
    directory = fields.CharField(max_length=16)
    host = fields.CharField(max_length=255)
    pid = fields.IntField()
    kind = fields.CharField(max_length=10)
    slots = fields.IntField()
    cores = fields.IntField()
    memory_bytes = fields.BigIntField()
    gpus = fields.IntField()
    #: By name, what its last probe found.
    backends: dict[str, Any] = fields.JSONField(default=dict)
    version = fields.CharField(max_length=40)
    started_at = fields.DatetimeField()
    heartbeat_at = fields.DatetimeField()

    class Meta:
        table = "workers"

    def to_domain(self) -> Worker:
        return Worker(
            id=self.id,
            owner=self.owner,
            host=self.host,
            pid=self.pid,
            kind=WorkerKind(self.kind),
            slots=self.slots,
            cores=self.cores,
            memory_bytes=self.memory_bytes,
            gpus=self.gpus,
            backends=_described(self.backends),
            version=self.version,
            started_at=self.started_at,
            heartbeat_at=self.heartbeat_at,
        )
