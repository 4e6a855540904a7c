"""`qstore serve` as operators meet it: start, stop, and everything that can be wrong before it starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import (
    QSTORE,
    Served,
    data,
    descendants,
    environment,
    free_port,
    long_job,
    only_line,
    qstore,
    serving,
    small_circuit,
    wait_for_epoch,
    wait_until_gone,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc")
#: What the serving process must never import: only its children compute.
HEAVY = {"numba", "llvmlite", "cirq", "cirq_ionq", "pennylane", "qsimcirq", "sklearn", "scipy"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "qstore-data"


@pytest.fixture
def served(data_dir: Path) -> Iterator[Served]:
    with serving(data_dir) as server:
        yield server


class TestStart:
    def test_the_ready_line(self, served: Served) -> None:
        """One line names the address when `/ready` answers 200, and the data directory by its absolute path."""
        first, *rest = served.output.read_text().splitlines()

        assert f"Q-Store is ready at {served.address} (data directory {served.data_dir})" == first
        assert httpx.get(f"{served.address}/ready", trust_env=False).status_code == 200
        assert not any("ready at" in line for line in rest)

    def test_a_set_up_token_once(self, served: Served) -> None:
        """A first start prints a one-time token for the set-up page; a start with an owner does not."""
        token = served.wait_for(r"token: (\S+)")[1]

        assert len(token) >= 20
        assert f"{served.address}/app/setup" in served.output.read_text()

        served.client().close()
        served.stop()
        with serving(served.data_dir) as again:
            time.sleep(0.5)

            assert "set-up token" not in again.output.read_text()

    def test_nothing_heavy_is_imported(self, data_dir: Path, tmp_path: Path) -> None:
        """The serving process imports no quantum and no learning library, not even while a job trains."""
        imported = tmp_path / "imported.json"
        # Python runs sitecustomize before anything else: it writes down, on a signal, what the process has imported.
        (tmp_path / "sitecustomize.py").write_text(
            "import json, os, signal, sys\n"
            "def write(*_):\n"
            f"    with open({str(imported)!r} + '.new', 'w') as file: json.dump(sorted(sys.modules), file)\n"
            f"    os.replace({str(imported)!r} + '.new', {str(imported)!r})\n"
            "if 'serve' in sys.argv or 'serve' in getattr(sys, 'orig_argv', []): signal.signal(signal.SIGUSR1, write)\n"
        )
        with serving(data_dir, PYTHONPATH=str(tmp_path)) as server, server.client() as client:
            job_id = long_job(client, small_circuit(client))
            wait_for_epoch(client, job_id, 2)
            os.kill(server.process.pid, signal.SIGUSR1)
            deadline = time.monotonic() + 10
            while not imported.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            modules = {name.partition(".")[0] for name in json.loads(imported.read_text())}

            assert "sanic" in modules
            assert not modules & HEAVY

    def test_deep_directories(self, tmp_path: Path) -> None:
        """A path too long for a socket's address is no obstacle: verbs reach the server all the same."""
        data_dir = tmp_path / ("deep" * 20) / ("deeper" * 20) / "data"
        data_dir.parent.mkdir(parents=True)
        with serving(data_dir) as server:
            server.client().close()
            listed = qstore("user", "list", "--data-dir", data_dir)

            assert "ada@example.org" in listed.stdout
            assert (data_dir / "control.sock").is_socket()


class TestStop:
    @pytest.fixture
    def server(self, served: Served) -> Served:
        """One that the test stops by itself; what a failed test leaves is stopped after it."""
        return served

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal(self, server: Served, data_dir: Path, number: signal.Signals) -> None:
        """SIGTERM and Ctrl-C stop it cleanly: exit code 0, no control socket, the directory free again."""
        began = time.monotonic()

        assert server.stop(number) == 0
        assert time.monotonic() - began < 150
        assert not (data_dir / "control.sock").exists()

        with serving(data_dir):
            pass

    @linux
    def test_while_a_job_trains(self, server: Served, data_dir: Path) -> None:
        """SIGTERM while a job trains leaves no process and puts the job back; the next server finishes it."""
        with server.client() as client:
            job_id = long_job(client, small_circuit(client))
            wait_for_epoch(client, job_id, 2)
        children = descendants(server.process.pid)

        assert server.stop() == 0
        wait_until_gone(children)

        with serving(data_dir) as again, again.client() as client:
            done = data(client.get(f"/v1/jobs/{job_id}"))["progress"]["current_epoch"]

            assert done >= 2
            assert wait_for_epoch(client, job_id, done + 1)["status"] == "running"

    @linux
    def test_a_second_signal(self, server: Served, data_dir: Path) -> None:
        """Who signals twice does not wait: with a request hanging it is gone within two seconds, children included."""
        children = descendants(server.process.pid)
        with socket.create_connection(("127.0.0.1", server.port)) as hanging:
            hanging.sendall(b"POST /v1/auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
            time.sleep(0.3)
            server.process.terminate()
            time.sleep(0.3)
            began = time.monotonic()
            server.process.terminate()
            server.process.wait(8)

        # Sooner than the ten seconds that a request in flight may take after one signal.
        assert time.monotonic() - began < 8
        wait_until_gone(children)

    @linux
    def test_kill_leaves_no_children(self, server: Served, data_dir: Path) -> None:
        """A server that is killed takes its computing children with it, and its directory is free at once."""
        with server.client() as client:
            job_id = long_job(client, small_circuit(client))
            wait_for_epoch(client, job_id)
        children = descendants(server.process.pid)

        assert children

        server.stop(signal.SIGKILL)
        wait_until_gone(children)
        with serving(data_dir) as again, again.client() as client:
            assert wait_for_epoch(client, job_id, 2)["status"] == "running"


class TestRefusals:
    def refused(self, *words: object, **more: str) -> tuple[int, str]:
        began = time.monotonic()
        ended = qstore(*words, **more)

        assert "Traceback" not in ended.stderr
        assert time.monotonic() - began < 50
        return ended.returncode, only_line(ended.stderr)

    def test_the_directory_is_in_use(self, served: Served) -> None:
        """A second server on the directory leaves with 73 and names the first; that one goes on."""
        code, line = self.refused("serve", "--data-dir", served.data_dir, "--port", free_port())

        assert code == 73
        assert str(served.process.pid) in line
        assert socket.gethostname() in line
        assert served.address in line
        assert httpx.get(f"{served.address}/ready", trust_env=False).status_code == 200

    def test_the_demo_too(self, served: Served) -> None:
        """The demo brings a server of its own, so it is refused there as well."""
        code, line = self.refused("demo", "--exit", "--data-dir", served.data_dir, "--port", free_port())

        assert code == 73
        assert served.address in line

    @pytest.mark.parametrize("verb", ["serve", "demo"])
    def test_the_port_is_taken(self, verb: str, data_dir: Path) -> None:
        """A taken port is named, with the flag that chooses another, and nothing is created."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            code, line = self.refused(verb, "--data-dir", data_dir, "--port", port)

        assert code == 3
        assert f"Port {port} on 127.0.0.1" in line
        assert "--port" in line
        assert not data_dir.exists()

    def test_a_broken_file(self, data_dir: Path, tmp_path: Path) -> None:
        """A broken `qstore.toml` is refused with line and key, exit code 78, and nothing is created."""
        config = tmp_path / "qstore.toml"
        config.write_text("[server]\nport = 8000\n\n[jobs]\nslotz = 2\n")
        for verb in (["serve"], ["demo"], ["init", "--email", "a@b", "--organization", "x", "--password-file", "-"]):
            code, line = self.refused(*verb, "--data-dir", data_dir, "--config", config)

            assert code == 78
            assert "line 5" in line
            assert "slotz" in line
        assert not data_dir.exists()

    def test_an_unwritable_directory(self, tmp_path: Path) -> None:
        """A directory that cannot be made is named in one line, as the configuration that it is."""
        (tmp_path / "file").write_text("")
        code, line = self.refused("serve", "--data-dir", tmp_path / "file" / "data", "--port", free_port())

        assert code == 78
        assert str(tmp_path / "file" / "data") in line

    def test_plain_http_on_the_network(self, data_dir: Path) -> None:
        """Without TLS it listens on loopback only, unless told that plain HTTP is meant; then it warns."""
        code, line = self.refused("serve", "--data-dir", data_dir, "--host", "0.0.0.0", "--port", free_port())

        assert code == 78
        assert "insecure_http" in line

        with serving(data_dir, "--host", "0.0.0.0", "--insecure-http") as server:
            assert "WARNING: plain HTTP on 0.0.0.0" in server.log.read_text()

    def test_no_such_address(self, data_dir: Path) -> None:
        """An address that is none of this machine's is refused in one line."""
        code, line = self.refused(
            "serve", "--data-dir", data_dir, "--host", "203.0.113.7", "--insecure-http", "--port", free_port()
        )

        assert code != 0
        assert "203.0.113.7" in line

    def test_a_readable_secret_key(self, data_dir: Path) -> None:
        """A signing key that others can read is refused, with the command that mends it."""
        Served(data_dir).stop()
        (data_dir / "secret.key").chmod(0o644)
        code, line = self.refused("serve", "--data-dir", data_dir, "--port", free_port())

        assert code == 78
        assert "chmod 600" in line


def test_a_watcher_may_leave(data_dir: Path) -> None:
    """Whoever started the server may close its end of standard output; it serves on."""
    port = free_port()
    process = subprocess.Popen(
        [*QSTORE, "serve", "--data-dir", str(data_dir), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        process.stdout.close()
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.5)

        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_logs_are_json_lines(served: Served) -> None:
    """Away from a terminal every log line is one JSON object."""
    httpx.get(f"{served.address}/v1/users/me", trust_env=False)
    served.stop()

    for line in served.log.read_text().splitlines():
        assert re.match(r"{.*}$", line), line
        json.loads(line)


def test_tls(data_dir: Path, tmp_path: Path) -> None:
    """With a certificate it serves HTTPS alone, and the demo speaks to its own server whatever name that is made out to."""
    folder = tmp_path / "tls"
    shutil.copytree(Path(__file__).parent / "tls", folder)
    (folder / "key.pem").chmod(0o600)
    config = tmp_path / "tls.toml"
    config.write_text(f"[server]\ntls_certificate = '{folder}/certificate.pem'\ntls_key = '{folder}/key.pem'\n")
    with serving(data_dir, "--config", config) as server:
        context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
        context.check_hostname = False
        answered = httpx.get(f"https://127.0.0.1:{server.port}/ready", verify=context, trust_env=False)

        assert answered.status_code == 200
        assert f"ready at https://127.0.0.1:{server.port}" in server.output.read_text()
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{server.port}/ready", trust_env=False)

    demo = qstore(
        "demo", "--exit", "--epochs", 1, "--config", config, "--data-dir", tmp_path / "demo", "--port", free_port()
    )

    assert demo.returncode == 0, demo.stderr
    assert "Test accuracy" in demo.stdout
