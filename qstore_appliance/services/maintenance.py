"""Maintenance windows: when the operator works on a backend. Rows, so that every server of an installation sees them."""

from __future__ import annotations

from datetime import datetime, timedelta

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.backends import MaintenanceRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.backends import Window, spoken
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, Forbidden, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.texts import refuse_unstorable

#: Nobody works on a backend for longer; a mistyped year is found out.
MAX_LENGTH = timedelta(days=366)
MAX_NOTE = 500


class Maintenance:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._audit = Audit(database, clock)

    async def windows(self, backend: str | None = None) -> list[Window]:
        """Present and future windows, of one backend or of all, in the order of time."""
        rows = MaintenanceRow.filter(ends_at__gt=self._clock.now())
        if backend is not None:
            rows = rows.filter(backend=backend)
        return [row.to_domain() for row in await rows.order_by("starts_at", "id")]

    async def next_of_all(self) -> dict[str, Window]:
        """By backend, the present window or else the next one."""
        found: dict[str, Window] = {}
        for window in await self.windows():
            found.setdefault(window.backend, window)
        return found

    async def plan(
        self, caller: Caller, backend: str, start: datetime | None, end: datetime, note: str | None = None
    ) -> Window:
        """
        Set a window; past ones are forgotten.

        Args:
            start: Now where it is left out.

        Raises:
            Forbidden: The caller is not an operator.
            ValidationFailed: Naming `start`, `end` or `note`.
            Conflict: It overlaps another window of this backend.
        """
        _only_operators(caller)
        now = self._clock.now()
        start = start or now
        for field, moment in (("start", start), ("end", end)):
            if moment.tzinfo is None:
                raise ValidationFailed.field(field, "write a time with its zone, such as 2025-12-20T02:00:00Z")
        if end <= start:
            raise ValidationFailed.field("end", "must be after the start")
        if end <= now:
            raise ValidationFailed.field("end", "is over already")
        if end - start > MAX_LENGTH:
            raise ValidationFailed.field("end", f"is more than {MAX_LENGTH.days} days after the start")
        if note is not None and len(note) > MAX_NOTE:
            raise ValidationFailed.field("note", f"has more than {MAX_NOTE} characters")
        refuse_unstorable(note=note)
        row = MaintenanceRow(
            id=ids.new("window"),
            backend=backend,
            starts_at=start,
            ends_at=end,
            note=note or None,
            created_by=caller.user_id,
            created_at=now,
        )
        async with self._database.transaction():
            await self._database.one_at_a_time(f"maintenance:{backend}")
            await MaintenanceRow.filter(ends_at__lte=now).delete()
            other = await MaintenanceRow.filter(backend=backend, starts_at__lt=end, ends_at__gt=start).first()
            if other is not None:
                raise Conflict(
                    f"{backend} has a maintenance window from {spoken(other.starts_at)} to {spoken(other.ends_at)} "
                    "already; clear it first, or choose another time."
                )
            await row.save(force_create=True)
            await self._audit.record(
                "maintenance.planned",
                organization_id=None,
                caller=caller,
                subject=backend,
                start=spoken(start),
                end=spoken(end),
            )
        return row.to_domain()

    async def clear(self, caller: Caller, backend: str) -> int:
        """
        Forget a backend's windows, the present one too: what waited for it runs. Returns how many there were.

        Raises:
            Forbidden: The caller is not an operator.
        """
        _only_operators(caller)
        now = self._clock.now()
        async with self._database.transaction():
            await MaintenanceRow.filter(ends_at__lte=now).delete()
            cleared = await MaintenanceRow.filter(backend=backend).delete()
            await self._audit.record(
                "maintenance.cleared", organization_id=None, caller=caller, subject=backend, windows=cleared
            )
            return cleared


def _only_operators(caller: Caller) -> None:
    if not caller.operator:
        raise Forbidden("Only the operator of this installation sets maintenance windows.")
