"""
Versions of the schema, each one SQL file per dialect: `0001_tables.sqlite.sql`, `0001_tables.postgres.sql`.

Why not Tortoise's own migrations: on SQLite its AlterField and RemoveField rebuild a table with foreign keys on, which
deletes the rows below it; it takes no lock, so that two servers that start together collide; and it writes down what it
did after the transaction that did it. Plain statements in one transaction with their record have none of that, and cost
one SELECT when nothing is pending.

A new version: add the next number to `VERSIONS` and write both files with CREATE TABLE, CREATE INDEX, ALTER TABLE … ADD
COLUMN (with a default where it is NOT NULL), INSERT or UPDATE; nothing that drops, renames or rebuilds. Change the table
in `database/tables/` alike: a test compares the two. Statements end with `;` at the end of a line; what stands between
two `$$` is one, whatever it holds. (Postgres undoes renames with everything else, so a version may rename a table there
to attach it elsewhere, where a test with rows in it shows that it keeps them: 0009 does.)
"""

VERSIONS: tuple[str, ...] = (
    *("0001_tables", "0002_circuit_jobs", "0003_backends", "0004_remote_jobs", "0005_jobs", "0006_money"),
    *("0007_outbox", "0008_workers", "0009_ledger_by_month", "0011_sign_in", "0012_audit"),
    *("0013_members", "0014_invitations", "0040_circuit_versions"),
    *("0050_model_hours", "0060_model_registry", "0080_roles"),
    *("0081_storage",),
)
