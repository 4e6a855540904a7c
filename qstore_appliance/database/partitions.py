"""
The ledger's partitions on Postgres: one for each month in UTC, made before anything is charged in it.

A charge whose month has none lands in the default partition, so none is ever refused; it moves once its month gets one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from qstore_appliance.database.connection import Database

TABLE = "cost_events"
#: Months after the present one that have a partition already: a server that is off for a while finds its own.
AHEAD = 3
#: So long a partition waits for the ledger at the most, for charges wait behind it.
LOCK_SECONDS = 5


async def make_ahead(database: Database, now: datetime, ahead: int = AHEAD) -> list[str]:
    """
    Make the partitions of this month and the next ones, as far as they are missing.

    Nobody who reads waits for it, unless the default partition is concerned; who charges waits for the moment that it
    takes. Source: the specification, Database Optimization.

    Returns: the names of those that were made; nothing on SQLite, where the ledger is one table.

    Raises:
        Unavailable: Somebody holds the ledger; nothing is lost, and the next call makes what is missing.
    """
    if database.dialect != "postgres":
        return []
    made = []
    missing = await _missing(database, now, ahead)
    for name, first, after in missing:
        async with database.transaction() as connection:
            await database.one_at_a_time(TABLE)
            if name not in {one for one, _, _ in await _missing(database, now, ahead)}:
                # Another server was faster.
                continue
            await connection.execute_query(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            await connection.execute_query("SET LOCAL statement_timeout = 0")
            # The ledger first, as who charges does: a charge that had chosen the default partition and waited for that would
            # be refused by it afterwards.
            await connection.execute_query(f'LOCK TABLE ONLY "{TABLE}" IN SHARE ROW EXCLUSIVE MODE')
            # Before the rows are moved: one that came in between would be in the way of the new partition.
            await connection.execute_query(f'LOCK TABLE "{TABLE}_default" IN ACCESS EXCLUSIVE MODE')
            await connection.execute_query(f'CREATE TABLE "{name}" (LIKE "{TABLE}" INCLUDING DEFAULTS)')
            # Not through the ledger, whose trigger has seen these rows already.
            await connection.execute_query(
                f'WITH "moved" AS (DELETE FROM "{TABLE}_default" WHERE "created_at" >= \'{first}\''  # noqa: S608 - ours
                f' AND "created_at" < \'{after}\' RETURNING *) INSERT INTO "{name}" SELECT * FROM "moved"'
            )
            await connection.execute_query(
                f"ALTER TABLE \"{TABLE}\" ATTACH PARTITION \"{name}\" FOR VALUES FROM ('{first}') TO ('{after}')"
            )
        made.append(name)
    return made


async def _missing(database: Database, now: datetime, ahead: int) -> list[tuple[str, str, str]]:
    """Name, first moment and first moment after it of each month that has no partition."""
    rows = await database.connection.execute_query_dict(
        "SELECT c.relname AS name,"
        " substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([^'']+)''\\)')::timestamptz AS ends"
        " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)",
        [TABLE],
    )
    ends = {row["name"]: row["ends"] for row in rows}
    # A clock that goes back before the first month: that time has a partition, of everything before.
    begin = ends.get(f"{TABLE}_before")
    return [
        (_name(first), _written(first), _written(after))
        for first, after in _months(now, ahead)
        if _name(first) not in ends and (begin is None or first >= begin)
    ]


def _months(now: datetime, ahead: int) -> Iterator[tuple[datetime, datetime]]:
    now = now.astimezone(UTC)
    present = now.year * 12 + now.month - 1
    firsts = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(present, present + ahead + 2)]
    return pairwise(firsts)


def _name(first: datetime) -> str:
    return f"{TABLE}_{first:%Y_%m}"


def _written(moment: datetime) -> str:
    return moment.isoformat(sep=" ")
