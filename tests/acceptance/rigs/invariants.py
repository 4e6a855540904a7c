"""
What must be true whatever was killed. Each function raises `Broken` with the invariant's number.

I1 what was acknowledged is there · I2 no halves · I3 one legal state, one end · I4 the ledger holds what jobs cost,
and budgets its sums · I5 a provider gets nothing twice · I7 epochs 1 to n without gap or double · I8 the database is
whole · I9 what a budget has to tell is told once · I10 nothing left lying about · I11 the same parameters as without a
kill.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tests.acceptance.rigs.house import House
from tests.acceptance.rigs.writers import Writer

TERMINAL = {"completed", "failed", "cancelled"}
STATES = TERMINAL | {"queued", "running", "paused"}
#: What lies in a data directory at rest and at work.
KNOWN = {
    "qstore.toml", "secret.key", "lock", "control.sock", "blobs", "blob-cache", "datasets", "incoming", "qstore.migrating",
    "qstore.sqlite3", "qstore.sqlite3-wal", "qstore.sqlite3-shm", "queue.sqlite3", "queue.sqlite3-wal", "queue.sqlite3-shm",
}  # fmt: skip
#: A data directory of a rig stays below this.
MOST_BYTES = 300 * 2**20


class Broken(AssertionError):
    """An invariant does not hold."""


def require(fact: object, number: str, *evidence: object) -> None:
    if not fact:
        raise Broken(f"{number}: " + " | ".join(str(one)[:1500] for one in evidence))


def acknowledged(house: House, writers: Iterable[Writer], sample: int | None = 20) -> int:
    """
    I1: circuits, jobs and retirements that were acknowledged are as they were acknowledged, and nothing is there twice.

    Args:
        sample: Of what was not touched since the last look, so many; None for all.

    Returns: how many were compared.
    """
    compared = 0
    for writer in writers:
        fresh = writer.touched - writer.unsure
        rest = sorted(set(writer.circuits) - fresh - writer.unsure)
        more = rest if sample is None else random.Random(len(rest)).sample(rest, min(sample, len(rest)))
        for id in (*sorted(fresh), *more):
            answer = house.client.get(f"/v1/circuits/{id}")
            expected = writer.circuits[id]
            if expected is None:
                require(answer.status_code == 404, "I1", f"{id} was deleted, and is back", answer.text)
            else:
                require(answer.status_code == 200, "I1", f"{id} was acknowledged, and is gone", answer.text)
                require(
                    answer.json()["data"] == expected, "I1", f"{id} is not what was acknowledged", answer.text, expected
                )
            compared += 1
        writer.touched.clear()
        require(not writer.refused, "I1", "a request was refused that should not have been", writer.refused)
    found = house.snapshot(
        {
            "jobs": "SELECT id, status, project FROM training_jobs",
            "models": "SELECT id, status FROM models",
            "twice": "SELECT name, count(*) AS n FROM circuits GROUP BY name HAVING count(*) > 1"
            " UNION SELECT project, count(*) FROM training_jobs WHERE project IS NOT NULL GROUP BY project"
            " HAVING count(*) > 1",
        }
    )
    require(not found["twice"], "I1", "what was sent twice is there twice", found["twice"])
    jobs = {row["id"]: row["status"] for row in found["jobs"]}
    models = {row["id"]: row["status"] for row in found["models"]}
    for writer in writers:
        for id, states in writer.jobs.items():
            require(id in jobs, "I1", f"{id} was accepted, and is gone")
            if states and id not in writer.unsure:
                require(jobs[id] in states | {"running"} - {"cancelled"}, "I1", f"{id} is {jobs[id]}, not {states}")
        lost = writer.projects - {row["project"] for row in found["jobs"]}
        require(not lost, "I1", "jobs were accepted, and are gone", lost)
        for id in writer.retired:
            require(models.get(id) == "retired", "I1", f"{id} was retired, and is {models.get(id)}")
        compared += len(writer.jobs) + len(writer.retired)
    return compared


def whole(house: House) -> None:
    """I2: a completed job has its model, a model its job and its artifact, byte for byte."""
    found = house.snapshot(
        {
            "jobs": "SELECT id, status, model_id, checkpoint FROM training_jobs",
            "models": "SELECT id, training_job_id, artifact_digest FROM models",
            "blobs": "SELECT digest FROM blobs",
        }
    )
    models = {row["id"]: row for row in found["models"]}
    for job in found["jobs"]:
        done = job["status"] == "completed"
        require((job["model_id"] is not None) == done, "I2", job)
        require(not done or models.get(job["model_id"], {}).get("training_job_id") == job["id"], "I2", job)
    require(len(models) == sum(job["status"] == "completed" for job in found["jobs"]), "I2", "a model without its job")
    stored = {row["digest"] for row in found["blobs"]}
    needed = [model["artifact_digest"] for model in models.values()]
    needed += [job["checkpoint"] for job in found["jobs"] if job["checkpoint"] is not None]
    for digest in needed:
        if house.postgres is not None:
            require(digest in stored, "I2", f"{digest} is missing")
            continue
        name = digest.removeprefix("sha256:")
        place = house.data_dir / "blobs" / name[:2] / f"{name}.bin"
        # A running job frees its old checkpoint between our look at its row and at its file.
        if place.exists() or digest in {model["artifact_digest"] for model in models.values()}:
            content = place.read_bytes() if place.exists() else b""
            require(hashlib.sha256(content).hexdigest() == name, "I2", f"{digest} is missing or altered")


def one_end(house: House, sealed: set[str]) -> None:
    """
    I3, I4, I7 for every job that was not over at the last look; those that are get sealed.

    Their epochs are in the log, in the histories and in the progress, each once and in order; whoever listens was told of
    one end; what they cost is in the ledger.
    """
    known = ", ".join(f"'{id}'" for id in sorted(sealed)) or "''"
    found = house.snapshot(
        {
            "jobs": "SELECT id, status, lease_owner, completed_at, progress, metrics, cost, error_code, reason FROM training_jobs"
            f" WHERE id NOT IN ({known})",
            "logs": "SELECT job_id, seq, message FROM job_logs WHERE (message LIKE 'Epoch %' OR message LIKE 'Completed%'"
            f" OR message LIKE 'Cancelled%') AND job_id NOT IN ({known}) ORDER BY job_id, seq",
            "events": "SELECT job_id, seq, data FROM job_events WHERE channel = 'job.progress'"
            f" AND job_id NOT IN ({known}) ORDER BY job_id, seq",
            "costs": "SELECT job_id, event_type, amount FROM cost_events WHERE job_id IS NOT NULL",
            "reserved": "SELECT job_id, amount, charged FROM reservations",
        }
    )
    of_job = {name: _by_job(found[name]) for name in ("logs", "events", "costs", "reserved")}
    for job in found["jobs"]:
        id = job["id"]
        logs, events, costs, reserved = (of_job[name].get(id, []) for name in ("logs", "events", "costs", "reserved"))
        lines, told = [row["message"] for row in logs], [row["data"] for row in events]
        _one_state(job, lines, told)
        _epochs_once(job, lines, told)
        charged(job, costs, reserved)
        if job["status"] in TERMINAL:
            sealed.add(id)
    balanced(house)


def _by_job(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["job_id"]].append(row)
    return found


def _one_state(job: Mapping[str, Any], lines: list[str], events: list[Mapping[str, Any]]) -> None:
    over = job["status"] in TERMINAL
    require(job["status"] in STATES, "I3", job)
    require((job["completed_at"] is not None) == over, "I3", job)
    require(not over or job["lease_owner"] is None, "I3", job)
    require(job["status"] != "failed", "I3", "a job failed", job)
    ends = [event["status"] for event in events if event["status"] in TERMINAL]
    require(ends == ([job["status"]] if over else []), "I3", job["id"], job["status"], ends)
    said = sum(line.startswith(("Completed", "Cancelled")) for line in lines)
    require(said == int(over), "I3", job["id"], lines[-5:])


def _epochs_once(job: Mapping[str, Any], lines: list[str], events: list[Mapping[str, Any]]) -> None:
    done = job["progress"]["current_epoch"]
    logged = [int(line.split("/")[0].removeprefix("Epoch ")) for line in lines if line.startswith("Epoch ")]
    require(logged == list(range(1, done + 1)), "I7", job["id"], f"{done} epochs", _odd(logged))
    for name, history in job["metrics"].items():
        if name.endswith("_history"):
            require(len(history) == done, "I7", job["id"], f"{len(history)} values in {name} after {done} epochs")
    told = [event["current_epoch"] for event in events]
    require(told == sorted(told), "I7", job["id"], "progress went backwards", told)


def charged(job: Mapping[str, Any], costs: list[Mapping[str, Any]], reserved: list[Mapping[str, Any]]) -> None:
    """I4: at every moment the ledger holds what a job has cost, and something is reserved for those alone that are live."""
    total = sum(row["amount"] for row in costs)
    require(total == job["cost"], "I4", job["id"], f"{total} in the ledger", job, costs)
    live = job["status"] not in TERMINAL
    require(len(reserved) == int(live), "I4", job["id"], job["status"], reserved)
    require(not live or reserved[0]["charged"] == job["cost"], "I4", job, reserved)


def balanced(house: House) -> None:
    """I4: spend is the sum of the month's ledger, what is reserved the sum of all reservations, both within the limit."""
    found = house.snapshot(
        {
            "budgets": "SELECT organization_id, monthly_limit, month, spent, reserved FROM budgets",
            "ledger": "SELECT organization_id, amount, substr(CAST(created_at AS VARCHAR), 1, 7) AS month FROM cost_events",
            "reservations": "SELECT organization_id, amount FROM reservations",
        }
    )
    require(found["budgets"], "I4", "no budget at all")
    for budget in found["budgets"]:
        mine = [row for row in found["ledger"] if row["organization_id"] == budget["organization_id"]]
        spent = sum(row["amount"] for row in mine if row["month"] == budget["month"])
        kept = [row for row in found["reservations"] if row["organization_id"] == budget["organization_id"]]
        require(spent == budget["spent"], "I4", budget, f"{spent} in the ledger")
        require(sum(row["amount"] for row in kept) == budget["reserved"], "I4", budget, kept)
        limit = budget["monthly_limit"]
        require(limit is None or budget["spent"] + budget["reserved"] <= limit, "I4", budget)


def sent_once(house: House) -> int:
    """
    I5: the provider got what was noted before and nothing else, and each submission of a job once: whatever was killed
    between the note, the request, its answer and the epoch. Returns: how many it got.
    """
    assert house.outside is not None
    # The provider first: what it has was noted before, so it stands in what is read afterwards.
    sent = Counter(house.outside.submissions())
    rows = house.rows("SELECT token, job_id, epoch, key FROM remote_jobs")
    require(max(sent.values(), default=1) == 1, "I5", "sent twice under one token", sent.most_common(3))
    noted = {row["token"]: (row["job_id"], row["epoch"], row["key"]) for row in rows}
    require(sent.keys() <= noted.keys(), "I5", "sent without a note", sorted(sent.keys() - noted.keys())[:3])
    places = Counter(noted[token] for token in sent)
    twice = [place for place, count in places.items() if count > 1]
    require(not twice, "I5", "sent twice, each time as something new", twice)
    return len(sent)


def told_once(house: House, *, at_rest: bool = False) -> int:
    """
    I9: the thresholds that the ledger's month has reached have fired and no others, with one letter each; what came to the
    receiver are those letters, unaltered each time, and at rest all of them. Returns: how many came more than once.
    """
    assert house.outside is not None
    # The receiver first: what it has was written before.
    came = house.outside.letters()
    found = house.snapshot(
        {
            "budgets": "SELECT organization_id, monthly_limit, month, spent, alerts FROM budgets",
            "fired": "SELECT month, threshold FROM fired_alerts",
            "letters": "SELECT id, status, payload FROM outbox WHERE event = 'budget.alert'",
        }
    )
    (budget,) = found["budgets"]
    month, spent, limit = budget["month"], budget["spent"], budget["monthly_limit"]
    due = sorted(one["threshold"] for one in budget["alerts"] if spent > 0 and spent * 100 >= one["threshold"] * limit)
    fired = sorted(row["threshold"] for row in found["fired"] if row["month"] == month)
    require(fired == due, "I9", f"{spent} of {limit} are spent", f"fired: {fired}", f"due: {due}")
    written = Counter(
        (row["payload"]["data"]["month"], row["payload"]["data"]["threshold"]) for row in found["letters"]
    )
    twice = [what for what, count in written.items() if count > 1]
    require(not twice, "I9", "a threshold was told of twice", twice)
    told = sorted(threshold for of, threshold in written if of == month)
    require(told == due, "I9", f"letters: {told}", f"due: {due}")
    letters = {row["id"]: row["payload"] for row in found["letters"]}
    for id, body in came:
        require(letters.get(id) == body, "I9", f"{id} came, and is not what was written", body, letters.get(id))
    if at_rest:
        late = {row["id"]: row["status"] for row in found["letters"] if row["status"] != "delivered"}
        require(not late, "I9", "not delivered", late)
        require({id for id, _ in came} == letters.keys(), "I9", "said to be delivered, and never came")
    return sum(count > 1 for count in Counter(id for id, _ in came).values())


def _odd(numbers: list[int]) -> object:
    counts = Counter(numbers)
    return {
        "twice": [n for n, c in counts.items() if c > 1][:20],
        "in order": numbers == sorted(numbers),
        "last": numbers[-5:],
    }


def sound(house: House) -> None:
    """I8: every page and every reference of the database is whole."""
    if house.postgres is None:
        require(house.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}], "I8", "integrity_check")
        require(house.rows("PRAGMA foreign_key_check") == [], "I8", "foreign_key_check")
        return
    keys = house.rows(
        "SELECT conrelid::regclass::text AS below, confrelid::regclass::text AS above, a.attname AS reference, "
        "b.attname AS referred FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1] "
        "JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = confkey[1] WHERE contype = 'f'"
    )
    require(keys, "I8", "no foreign key at all")
    for key in keys:
        lost = house.rows(
            f"SELECT count(*) AS n FROM {key['below']} x LEFT JOIN {key['above']} y ON x.{key['reference']} = "
            f"y.{key['referred']} WHERE x.{key['reference']} IS NOT NULL AND y.{key['referred']} IS NULL"
        )
        require(lost == [{"n": 0}], "I8", key, lost)
    # Every index against its table, where Postgres has its own checker.
    if house.rows("SELECT 1 AS there FROM pg_available_extensions WHERE name = 'amcheck'"):
        assert house.postgres is not None
        house.postgres.execute("CREATE EXTENSION IF NOT EXISTS amcheck", house.database or "")
        house.rows(
            "SELECT bt_index_check(c.oid, true)::text AS checked FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree' JOIN pg_namespace n ON n.oid = c.relnamespace "
            # Not those of a table in partitions, which hold nothing themselves; each partition's own is there too.
            "WHERE n.nspname = 'public' AND i.indisvalid AND c.relkind = 'i'"
        )


def tidy(house: House, *, at_rest: bool = False) -> None:
    """I10: nothing in the data directory that nobody knows, no growth; at rest nothing that is half written."""
    names = {path.name for path in house.data_dir.iterdir()}
    require(names <= KNOWN, "I10", names - KNOWN)
    left = [*house.data_dir.glob("incoming/*"), *house.data_dir.glob("blob*/**/.unfinished-*")]
    require(not (at_rest and left), "I10", left)
    size = sum(path.stat().st_size for path in house.data_dir.rglob("*") if path.is_file())
    require(size < MOST_BYTES, "I10", size)


def forgotten(house: House, kills: int, slots: int = 3) -> int:
    """I2, at rest: blobs that nothing refers to, at most one for each kill and slot. Returns: how many there are."""
    found = house.snapshot(
        {
            "needed": "SELECT artifact_digest AS digest FROM models UNION SELECT checkpoint FROM training_jobs"
            " WHERE checkpoint IS NOT NULL UNION SELECT digest FROM datasets",
            "blobs": "SELECT digest FROM blobs",
        }
    )
    stored = {row["digest"] for row in found["blobs"]}
    stored |= {f"sha256:{path.stem}" for path in house.data_dir.glob("blobs/*/*.bin")}
    orphans = stored - {row["digest"] for row in found["needed"]}
    require(len(orphans) <= kills * slots, "I2", f"{len(orphans)} blobs that nothing refers to after {kills} kills")
    return len(orphans)


def same(learned: Mapping[str, Any], unbroken: Mapping[str, Any]) -> None:
    """I11: bit for bit what the same plan learns when nothing is killed."""
    for part in unbroken:
        require(learned[part] == unbroken[part], "I11", part, learned[part], unbroken[part])


def alive(house: House) -> None:
    answer = httpx.get(f"{house.served.address}/ready", trust_env=False)
    require(answer.status_code == 200, "ready", answer.text)
