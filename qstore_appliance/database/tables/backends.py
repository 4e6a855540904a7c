"""
What was counted of backends, and when they are worked on.

Installation-wide, so without organizations: nothing here says who ran what. Counters are added up by one UPSERT each,
see `services/measurements.py`.
"""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.backends import Window


class BackendDayRow(Row):
    """One backend's counters of one day in UTC."""

    #: `<day>:<backend>`: what an UPSERT meets again.
    id = fields.CharField(max_length=64, primary_key=True)
    backend = fields.CharField(max_length=50)
    #: Such as 2025-12-20: text that sorts as time does, in both databases.
    day = fields.CharField(max_length=10)
    circuits = fields.BigIntField(default=0)
    seconds = fields.FloatField(default=0.0)
    checks = fields.BigIntField(default=0)
    checks_good = fields.BigIntField(default=0)
    jobs_started = fields.BigIntField(default=0)
    wait_seconds = fields.FloatField(default=0.0)

    class Meta:
        table = "backend_days"


class BackendMinuteRow(Row):
    """Circuits of one minute on a backend that has a limit by the hour; older ones are deleted."""

    #: `<minute>:<backend>`.
    id = fields.CharField(max_length=80, primary_key=True)
    backend = fields.CharField(max_length=50)
    #: Such as 2025-12-20T10:05.
    minute = fields.CharField(max_length=16)
    circuits = fields.BigIntField(default=0)

    class Meta:
        table = "backend_minutes"


class MaintenanceRow(Row):
    """A maintenance window of a backend. Those of one backend do not overlap."""

    id = fields.CharField(max_length=40, primary_key=True)
    backend = fields.CharField(max_length=50)
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField()
    note = fields.TextField(null=True)
    created_by = fields.CharField(max_length=40)
    created_at = fields.DatetimeField()

    class Meta:
        table = "backend_maintenance"

    def to_domain(self) -> Window:
        return Window(
            id=self.id,
            backend=self.backend,
            start=self.starts_at,
            end=self.ends_at,
            note=self.note,
            created_by=self.created_by,
        )
