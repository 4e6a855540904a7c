"""Settings: sources, their order, and what a broken one says."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path

import pytest

from qstore_appliance import settings as settings_module
from qstore_appliance.errors import ConfigurationInvalid
from qstore_appliance.settings import SECTIONS, Settings, default_data_dir, load, template


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the folder that the tests are started in is read."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "qstore.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationInvalid) as caught:
        load(tmp_path / "data", written(tmp_path, text))
    return caught.value.message


class TestSources:
    def test_defaults(self, tmp_path: Path) -> None:
        """Without any source every key has the default of its declaration."""
        settings = load(tmp_path / "data")

        assert Settings(data_dir=tmp_path / "data") == settings

    def test_later_wins(self, tmp_path: Path) -> None:
        """Flags win over the environment, which wins over the file, which wins over defaults."""
        file = written(tmp_path, "[server]\nport = 8001\nhost = '::1'\n[jobs]\nslots = 3\n")
        environment = {"QSTORE_SERVER__PORT": "8002", "QSTORE_SERVER__HOST": "localhost"}

        settings = load(tmp_path / "data", file, environment, {"server.port": 8003, "server.host": None})

        assert (settings.server.port, settings.server.host, settings.jobs.slots) == (8003, "localhost", 3)

    def test_the_directory_s_file_comes_first(self, tmp_path: Path) -> None:
        """`DIR/qstore.toml` is read in place of `./qstore.toml`, which is read where the first is absent."""
        Path("qstore.toml").write_text("[jobs]\nslots = 5\n")
        data = tmp_path / "data"

        assert load(data).jobs.slots == 5

        data.mkdir()
        (data / "qstore.toml").write_text("[jobs]\nslots = 6\n")

        assert load(data).jobs.slots == 6

    def test_the_template_changes_nothing(self, tmp_path: Path) -> None:
        """`qstore.toml` as shipped stands for the defaults, and so it does with every comment taken away."""
        shipped = written(tmp_path, template())
        opened = "\n".join(
            line.removeprefix("# ") if " = " in line and not line.startswith("# [") else line
            for line in template().split("# Options of one backend")[0].splitlines()
            if not line.endswith(".")
        )

        assert load(tmp_path / "data", shipped) == load(tmp_path / "data")
        assert tomllib.loads(opened)["server"]["port"] == 8000
        assert load(tmp_path / "data", written(tmp_path, opened)) == load(tmp_path / "data")

    def test_types_in_the_environment(self, tmp_path: Path) -> None:
        """The environment knows only text; numbers, truth values and lists are read from it."""
        settings = load(
            tmp_path / "data",
            environment={
                "QSTORE_JOBS__SLOTS": "2",
                "QSTORE_SERVER__INSECURE_HTTP": "true",
                "QSTORE_SERVER__ALLOWED_HOSTS": "a.example, b.example",
                "QSTORE_DATA_DIR": "/elsewhere",
            },
        )

        assert (settings.jobs.slots, settings.server.insecure_http) == (2, True)
        assert settings.server.allowed_hosts == ("a.example", "b.example")

    def test_options_of_a_backend(self, tmp_path: Path) -> None:
        """`[backends.<name>]` reaches the plugin as written, with secrets read from their files."""
        secret = tmp_path / "key"
        secret.write_text("s3cret\n")
        secret.chmod(0o600)
        file = written(tmp_path, f"[backends.ionq]\nper_circuit = 0.3\napi_key_file = '{secret}'\n")

        assert load(tmp_path / "data", file).backends == {"ionq": {"per_circuit": 0.3, "api_key": "s3cret"}}

    def test_the_data_directory(self, tmp_path: Path) -> None:
        """The data directory is absolute, made by nobody here, and `$QSTORE_DATA_DIR` names the default one."""
        settings = load(Path("somewhere"))

        assert Path.cwd() / "somewhere" == settings.data_dir
        assert not settings.data_dir.exists()
        assert Path("/lab") == default_data_dir({"QSTORE_DATA_DIR": "/lab"})
        assert Path.cwd() / "qstore-data" == default_data_dir({"QSTORE_DATA_DIR": ""})

    def test_frozen(self, tmp_path: Path) -> None:
        """Nobody changes settings after they are read."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            load(tmp_path).server.port = 1  # type: ignore[misc]


class TestRefusals:
    def test_broken_toml(self, tmp_path: Path) -> None:
        """A file that is no TOML is refused with its name, the line and the key on it."""
        message = refusal(tmp_path, "[server]\nhost = 'a'\nport = = 8000\n")

        assert "qstore.toml" in message
        assert "line 3" in message
        assert "'port'" in message

    @pytest.mark.parametrize(
        ("text", "line", "key"),
        [
            ("[jobs]\n\nslotz = 1\n", 3, "jobs.slotz"),
            ("[jobs]\nslots = 'two'\n", 2, "jobs.slots"),
            ("[jobs]\nslots = true\n", 2, "jobs.slots"),
            ("[jobs]\nslots = 1.0\n", 2, "jobs.slots"),
            ("[jobs]\nslots = 65\n", 2, "jobs.slots"),
            ("[jobs]\nslots = -1\n", 2, "jobs.slots"),
            ("# nothing\n[serverr]\nport = 1\n", 2, "serverr"),
            ("port = 1\n", 1, "port"),
            ("[server]\nallowed_hosts = 'a'\n", 2, "server.allowed_hosts"),
            ("[server]\nallowed_hosts = [1]\n", 2, "server.allowed_hosts"),
            ("[database]\nurl_file = '/nowhere'\n", 2, "database.url_file"),
            ("[backends.ionq]\napi_key_file = '/nowhere'\n", 2, "backends.ionq.api_key_file"),
        ],
    )
    def test_a_wrong_key_is_named_with_its_line(self, tmp_path: Path, text: str, line: int, key: str) -> None:
        """Unknown keys and sections, wrong types and values out of bounds are refused with line and key."""
        message = refusal(tmp_path, text)

        assert f"line {line}" in message
        assert f"key {key}" in message

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("QSTORE_SERVER__PORT", "eighty"),
            ("QSTORE_SERVER__PORT", "0"),
            ("QSTORE_SERVER__PORTT", "1"),
            ("QSTORE_NOWHERE__PORT", "1"),
            ("QSTORE_SERVER__INSECURE_HTTP", "perhaps"),
        ],
    )
    def test_a_wrong_variable_is_named(self, tmp_path: Path, variable: str, value: str) -> None:
        """What the environment gets wrong is refused with the variable's name."""
        with pytest.raises(ConfigurationInvalid, match=variable):
            load(tmp_path, environment={variable: value})

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[database]\nurl = 'mysql://x'\n", "database.url"),
            ("[queue]\nurl = 'amqp://x'\n", "queue.url"),
            ("[server]\nhost = '0.0.0.0'\n", "insecure_http"),
            ("[server]\ntls_key = 'key.pem'\n", "tls_certificate"),
            ("[telemetry]\nlevel = 'loud'\n", "telemetry.level"),
            ("[telemetry]\nformat = 'xml'\n", "telemetry.format"),
            ("[webhooks]\nallow = ['hooks.lab.internal']\n", "webhooks.allow"),
            ("[webhooks]\nallow = ['10.0.0.1/8:9000']\n", "webhooks.allow"),
            ("[webhooks]\nauthority = 'nowhere.pem'\n", "webhooks.authority"),
            ("[smtp]\ntls = 'perhaps'\n", "smtp.tls"),
            ("[smtp]\nhost = 'mail.example.org'\nsender = 'a@b.example'\ntls = 'none'\n", "smtp.tls"),
            ("[smtp]\nhost = 'mail.example.org'\n", "smtp.sender"),
            ("[smtp]\nhost = 'mail.example.org'\nsender = 'a@b.example Bcc: c@d.example'\n", "smtp.sender"),
            ("[smtp]\nhost = 'localhost'\nsender = 'a@b.example'\npassword = 'x'\n", "smtp.password"),
        ],
    )
    def test_what_does_not_go_together(self, tmp_path: Path, text: str, words: str) -> None:
        """Values that are fine alone and wrong together are refused, naming what to change."""
        assert words in refusal(tmp_path, text)

    def test_a_flag_is_named(self, tmp_path: Path) -> None:
        """A flag out of bounds is refused by its own name."""
        with pytest.raises(ConfigurationInvalid, match="--port"):
            load(tmp_path, flags={"server.port": 70_000})

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """A file named on the command line must exist."""
        with pytest.raises(ConfigurationInvalid, match=r"nowhere\.toml"):
            load(tmp_path, tmp_path / "nowhere.toml")

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        """A file that is not UTF-8 is refused by name."""
        file = tmp_path / "qstore.toml"
        file.write_bytes(b"[server]\nhost = '\xff'\n")

        with pytest.raises(ConfigurationInvalid, match="cannot be read"):
            load(tmp_path, file)

    def test_a_secret_that_others_can_read(self, tmp_path: Path) -> None:
        """A secret's file with mode 0644 is refused, with the command that mends it."""
        secret = tmp_path / "url"
        secret.write_text("postgres://u:p@h/d")
        secret.chmod(0o644)

        message = refusal(tmp_path, f"[database]\nurl_file = '{secret}'\n")

        assert f"chmod 600 {secret}" in message
        assert "u:p" not in message

        os.chmod(secret, 0o600)

        assert load(tmp_path, tmp_path / "qstore.toml").is_postgres


class TestAddress:
    @pytest.mark.parametrize(
        ("server", "address"),
        [
            ({}, "http://127.0.0.1:8000"),
            ({"server.host": "::1"}, "http://[::1]:8000"),
            ({"server.public_url": "https://lab.example/"}, "https://lab.example"),
            ({"server.tls_certificate": "c", "server.tls_key": "k"}, "https://127.0.0.1:8000"),
        ],
    )
    def test_what_people_open(self, tmp_path: Path, server: dict[str, str], address: str) -> None:
        """The address follows host, port, TLS and the proxy in front."""
        assert address == load(tmp_path, flags=server).address


def test_every_key_has_a_sentence() -> None:
    """Every key of every section explains itself in one sentence."""
    for kind in SECTIONS.values():
        for key in dataclasses.fields(kind):
            assert key.metadata["help"].endswith("."), key.name


def test_every_section_is_in_the_table() -> None:
    """A section that is added to `Settings` is known to every reader."""
    named = {f.name for f in dataclasses.fields(settings_module.Settings)}

    assert set(SECTIONS) == named - {"data_dir", "backends", "dataset_digests"}
