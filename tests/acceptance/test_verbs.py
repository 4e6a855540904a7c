"""The verbs of the host: the same words on an idle directory and on one that a server has."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from qstore_appliance.__main__ import main
from tests.acceptance.processes import (
    PASSWORD,
    QSTORE,
    Served,
    data,
    environment,
    long_job,
    only_line,
    qstore,
    serving,
    small_circuit,
    wait_for_epoch,
)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Verbs set up logging for their process; here that is ours."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def verb(*words: object, stdin: str = "") -> Ended:
    """Run a verb in this process, which spares it the start of Python."""
    out, err, stdin_before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(word) for word in words])
    finally:
        sys.stdin = stdin_before
    return Ended(code, out.getvalue(), err.getvalue())


def result(*words: object, stdin: str = "") -> list[Any]:
    ended = verb(*words, "--json", stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def init(email: str) -> list[str]:
    return ["init", "--email", email, "--organization", "Lab", "--password-file", "-"]


@pytest.fixture(scope="module", params=["idle", "served"])
def data_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory with an owner, with and without a server."""
    directory = tmp_path_factory.mktemp(request.param) / "data"
    made = verb(*init("ada@example.org"), "--data-dir", directory, stdin=PASSWORD)
    assert made.returncode == 0, made.stderr
    if request.param == "idle":
        yield directory
        return
    with serving(directory):
        yield directory


class TestEverywhere:
    def test_one_owner(self, data_dir: Path) -> None:
        """A second owner is refused with exit code 3, and the directory is named."""
        ended = verb(*init("bob@example.org"), "--data-dir", data_dir, stdin=PASSWORD)

        assert ended.returncode == 3
        assert str(data_dir) in only_line(ended.stderr)

    def test_users(self, data_dir: Path, tmp_path: Path) -> None:
        """Users are made in organizations old and new, listed, given other passwords, kept out."""
        password = tmp_path / "password"
        password.write_text("another good one 42\n")
        bob = ["--email", "bob@example.org"]
        (made,) = result(
            "user", "create", *bob, "--organization", "Other lab", "--role", "viewer",
            "--password-file", password, "--data-dir", data_dir,
        )  # fmt: skip
        again = verb(
            "user", "create", *bob, "--organization", "Lab", "--password-file", password, "--data-dir", data_dir
        )
        result("user", "reset-password", *bob, "--password-file", password, "--data-dir", data_dir)
        result("user", "disable", *bob, "--data-dir", data_dir)
        (users,) = result("user", "list", "--data-dir", data_dir)

        assert made["role"] == "viewer"
        assert again.returncode == 1
        assert "There is a user with this e-mail address." in only_line(again.stderr)
        assert [(u["email"], u["operator"], u["disabled"]) for u in users][:2] == [
            ("ada@example.org", True, False),
            ("bob@example.org", False, True),
        ]
        assert "password" not in json.dumps(users)

    def test_storage(self, data_dir: Path) -> None:
        """The host shows and sets how much an organization may keep; one that there is not, and nonsense, are refused."""
        at = ["--data-dir", data_dir]
        (shown,) = result("organization", "storage", "Lab", *at)
        (larger,) = result("organization", "storage", "Lab", "--bytes", 10**12, *at)
        said = verb("organization", "storage", "Lab", *at)
        (default,) = result("organization", "storage", "Lab", "--default", *at)
        (acts,) = result("audit", "list", "--action", "organization.updated", *at)
        unknown = verb("organization", "storage", "Nobody", *at)
        wrong = verb("organization", "storage", "Lab", "--bytes", "-1", *at)

        assert (shown["limit_bytes"], larger["limit_bytes"], default["limit_bytes"]) == (5 * 10**10, 10**12, 5 * 10**10)
        assert said.stdout.startswith(f"Lab keeps {shown['used_bytes']:,} bytes of 1,000,000,000,000: data sets")
        assert acts["total"] == 2
        assert unknown.returncode == 1
        assert "No organization of this name." in only_line(unknown.stderr)
        assert wrong.returncode == 2

    def test_people(self, data_dir: Path) -> None:
        """Somebody is invited by a link that is printed alone, given a role, let in again, and removed; refusals are said."""
        grace, at = ["--email", "grace@example.org"], ["--data-dir", data_dir]
        invited = verb("user", "invite", *grace, "--role", "viewer", *at)
        (again,) = result("user", "invite", *grace, *at)
        member = verb("user", "invite", "--email", "ada@example.org", *at)
        bad = verb("user", "invite", "--email", "grace", *at)
        nobody = verb("user", "role", *grace, "admin", *at)
        last = verb("user", "role", "--email", "ada@example.org", "viewer", *at)
        kept = verb("user", "remove", "--email", "ada@example.org", *at)
        verb(
            "user",
            "create",
            "--email",
            "emmy@example.org",
            "--organization",
            "Lab",
            "--password-file",
            "-",
            *at,
            stdin=PASSWORD,
        )
        emmy = ["--email", "emmy@example.org"]
        (given,) = result("user", "role", *emmy, "admin", *at)
        climbing = verb("user", "role", "--as", "emmy@example.org", *emmy, "owner", *at)
        result("user", "disable", *emmy, *at)
        out = verb("user", "role", "--as", "emmy@example.org", *emmy, "viewer", *at)
        result("user", "enable", *emmy, *at)
        removed = verb("user", "remove", *emmy, *at)

        assert re.fullmatch(r"\S+/app/invitation#invite_\S+\n", invited.stdout)
        assert again["link"] != invited.stdout.strip()
        assert "in your organization already" in only_line(member.stderr)
        assert "--email" in only_line(bad.stderr)
        assert "Nobody of this organization has this e-mail address." in only_line(nobody.stderr)
        assert "always has an owner" in only_line(last.stderr)
        assert "always has an owner" in only_line(kept.stderr)
        assert given["role"] == "admin"
        assert "has rights that you lack" in only_line(climbing.stderr)
        assert "is disabled" in only_line(out.stderr)
        assert removed.stdout == "emmy@example.org is removed; what they made stays.\n"

    def test_keys(self, data_dir: Path) -> None:
        """Keys are made for the operator or for a user, printed once, listed without their secret, revoked."""
        printed = verb("key", "create", "--name", "x", "--scope", "jobs:read", "--hours", 1, "--data-dir", data_dir)
        (listed,) = result("key", "list", "--data-dir", data_dir)
        (key,) = listed["items"]
        revoked = verb("key", "revoke", key["id"], "--data-dir", data_dir)
        (after,) = result("key", "list", "--data-dir", data_dir)
        wrong = verb("key", "create", "--name", "x", "--scope", "nonsense", "--data-dir", data_dir)
        nobody = verb("key", "list", "--as", "nobody@example.org", "--data-dir", data_dir)

        assert printed.stdout.startswith("qsk_live_")
        assert printed.stdout.strip().isprintable()
        assert (key["scopes"], key["key"]) == (["jobs:read"], None)
        assert printed.stdout.startswith(key["prefix"])
        assert revoked.returncode == 0
        assert after["items"] == []
        assert (wrong.returncode, nobody.returncode) == (1, 1)
        assert "nonsense" in only_line(wrong.stderr)
        assert "No user with this e-mail address." in only_line(nobody.stderr)

    def test_lists(self, data_dir: Path) -> None:
        """Every list prints columns, or that there is nothing, and names the directory on standard error."""
        for words, expected in (
            (["circuit", "list"], "No circuit."),
            (["job", "list", "--status", "queued,running"], "No job."),
            (["dataset", "list"], "breast_cancer"),
            (["backend", "list"], "native"),
            (["migrate"], "up to date"),
        ):
            ended = verb(*words, "--data-dir", data_dir)

            assert ended.returncode == 0, ended.stderr
            assert expected in ended.stdout
            assert ended.stderr.strip() == f"Data directory: {data_dir}"

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["job", "watch", "job_00000000000000000000000000"], "No job with this id."),
            (["job", "list", "--status", "asleep"], "queued, running"),
            (["circuit", "list", "--limit", "0"], "--limit"),
            (["circuit", "list", "--offset", "-1"], "--offset"),
            (["dataset", "import", "mnist", "/no/such/folder"], "/no/such/folder"),
        ],
    )
    def test_refusals(self, data_dir: Path, words: list[str], expected: str) -> None:
        """What does not exist or makes no sense is one line and exit code 1."""
        ended = verb(*words, "--data-dir", data_dir)

        assert ended.returncode == 1
        assert expected in only_line(ended.stderr)


def test_a_wrong_directory(tmp_path: Path) -> None:
    """A verb that would find nothing makes nothing: a mistyped directory is refused by its absolute path."""
    ended = qstore("user", "list", "--data-dir", "nowhere", cwd=tmp_path)

    assert ended.returncode == 3
    assert str(tmp_path / "nowhere") in only_line(ended.stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_directory_of_the_environment(tmp_path: Path) -> None:
    """`$QSTORE_DATA_DIR` is the data directory where no flag names one."""
    ended = qstore(*init("ada@example.org"), stdin=PASSWORD, QSTORE_DATA_DIR=str(tmp_path / "there"))

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "there" / "qstore.sqlite3").exists()


def test_a_disabled_user_is_out_at_once(tmp_path: Path) -> None:
    """What the host's command line does counts in the running server from the next request on."""
    with serving(tmp_path / "data") as server, server.client() as client:
        data(client.get("/v1/users/me"))
        verb("user", "disable", "--email", "ada@example.org", "--data-dir", server.data_dir)

        assert client.get("/v1/users/me").status_code == 401


def test_verbs_side_by_side(tmp_path: Path) -> None:
    """Verbs on an idle directory take turns; a server that starts meanwhile waits for them, and none is lost."""
    directory = tmp_path / "data"
    verb(*init("ada@example.org"), "--data-dir", directory, stdin=PASSWORD)
    codes: list[int] = []

    def create(number: int) -> None:
        ended = qstore(
            "user", "create", "--email", f"u{number}@example.org", "--organization", "Lab",
            "--password-file", "-", "--data-dir", directory, stdin=PASSWORD,
        )  # fmt: skip
        codes.append(ended.returncode)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (users,) = result("user", "list", "--data-dir", directory)

    assert codes == [0, 0, 0]
    assert len(users) == 4


class TestJobs:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Served]:
        with serving(tmp_path / "data") as server:
            yield server

    def test_watch_logs_cancel(self, server: Served) -> None:
        """A job is listed, watched to its end, read and cancelled from the command line."""
        with server.client() as client:
            circuit_id = small_circuit(client)
            short = long_job(client, circuit_id, epochs=5)
            watched = result("job", "watch", short, "--data-dir", server.data_dir)
            logs = verb("job", "logs", short, "--follow", "--data-dir", server.data_dir)
            endless = long_job(client, circuit_id)
            wait_for_epoch(client, endless)
            cancelled = verb("job", "cancel", endless, "--data-dir", server.data_dir)
            end = result("job", "watch", endless, "--data-dir", server.data_dir)[-1]
            (listed,) = result("job", "list", "--status", "cancelled", "--data-dir", server.data_dir)

        assert watched[-1]["status"] == "completed"
        assert watched[-1]["test_accuracy"] is not None
        assert "Epoch 5/5" in logs.stdout
        assert cancelled.returncode == 0
        assert end["status"] == "cancelled"
        assert [job["id"] for job in listed["items"]] == [endless]

    def test_submit_pause_resume_continue_replay(self, server: Served, tmp_path: Path) -> None:
        """A job from a file goes through every verb; those that make a job print its id, and a bad file its fault."""
        at = ("--data-dir", server.data_dir)
        with server.client() as client:
            config = {
                "epochs": 100_000,
                "seed": 1,
                "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}},
            }
            file = tmp_path / "job.json"
            file.write_text(json.dumps({"circuit_id": small_circuit(client), "config": config}))
            job_id = verb("job", "submit", file, *at).stdout.strip()
            wait_for_epoch(client, job_id)
            paused = verb("job", "pause", job_id, *at)
            resumed = verb("job", "resume", job_id, *at)
            verb("job", "cancel", job_id, *at)
            again = verb("job", "continue", job_id, "--epochs", "2", *at).stdout.strip()
            ended = result("job", "watch", again, *at)[-1]
            replay = verb("job", "replay", again, *at).stdout.strip()
            result("job", "watch", replay, *at)
            compared = data(client.get(f"/v1/jobs/{replay}"))["metrics"]["replay"]
        file.write_text("{")
        broken = verb("job", "submit", file, *at)
        unknown = verb("job", "submit", "-", *at, stdin='{"circuit_id": "c", "config": {"epoch": 1}}')

        assert paused.stdout == f"{job_id} is paused.\n"
        assert resumed.stdout in {f"{job_id} is queued.\n", f"{job_id} is running.\n"}
        assert ended["status"] == "completed"
        assert compared == {"of": again, "bit_equal": True, "first_difference": None}
        assert (broken.returncode, unknown.returncode) == (1, 1)
        assert "is not JSON" in only_line(broken.stderr)
        assert "config.dataset" in only_line(unknown.stderr)

    def test_watching_where_nobody_works(self, server: Served) -> None:
        """On an idle directory a waiting job would be watched for ever: the verb says so and leaves."""
        with server.client() as client:
            job_id = long_job(client, small_circuit(client))
            wait_for_epoch(client, job_id)
        server.stop()
        for words in (["watch", job_id], ["logs", job_id, "--follow"]):
            ended = verb("job", *words, "--data-dir", server.data_dir)

            assert ended.returncode == 3
            assert "qstore serve" in only_line(ended.stderr)
            assert ended.stdout


def test_the_server_stops_under_a_verb(tmp_path: Path) -> None:
    """A verb whose server stops ends in one line instead of waiting."""
    with serving(tmp_path / "data") as server:
        with server.client() as client:
            job_id = long_job(client, small_circuit(client))
            wait_for_epoch(client, job_id)
        words = [*QSTORE, "job", "watch", job_id, "--data-dir", str(server.data_dir)]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        ) as watching:
            assert watching.stdout is not None
            watching.stdout.readline()
            server.stop()
            _, complaint = watching.communicate(timeout=60)

        assert watching.returncode == 1
        assert "The server went away." in only_line(complaint)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.address}/health", trust_env=False)
