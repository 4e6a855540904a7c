"""A14: taking over an appliance that nobody has set up yet."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Served, serving

# One after the other, on one server: the last of them closes the door.
pytestmark = [pytest.mark.attack("A14"), pytest.mark.xdist_group("first run")]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("fresh") / "data", QSTORE_LIMITS__ADDRESS="100000") as server:
        yield server


def draft(token: str, **more: Any) -> dict[str, Any]:
    values = {"token": token, "email": "ada@example.org", "password": "a lab of ones own 7", "organization": "Lab"}
    return values | more


def setup(server: Served, body: dict[str, Any], **headers: str) -> httpx.Response:
    headers.setdefault("Origin", server.address)
    return httpx.post(f"{server.address}/app/setup", json=body, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("token", ["", "x", "token", "0" * 32, "../setup", "' OR 1=1 --", "\u0000", "{token}", "None"])
def test_1_without_the_token(fresh: Served, token: str) -> None:
    """Nobody becomes the owner who has not seen what the server printed on its own console."""
    assert setup(fresh, draft(token)).status_code in (401, 422)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ""},
    ],
    ids=str,
)
def test_2_from_a_foreign_page(fresh: Served, headers: dict[str, str]) -> None:
    """A page elsewhere cannot set it up through the operator's browser, nor by a name of its own."""
    token = fresh.wait_for(r"token: (\S+)")[1]

    assert setup(fresh, draft(token), **headers).status_code in (403, 421)


def test_3_the_token_is_nowhere_but_on_the_console(fresh: Served) -> None:
    """Neither the log nor the database nor any file of the data directory holds it, and no file is open to others."""
    token = fresh.wait_for(r"token: (\S+)")[1].encode()
    for path in fresh.data_dir.rglob("*"):
        if path.is_file():
            assert token not in path.read_bytes(), path
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert token not in fresh.log.read_bytes()


def test_4_two_at_once(fresh: Served) -> None:
    """Of two who have the token one becomes the owner, and the other hears that somebody was faster."""
    token = fresh.wait_for(r"token: (\S+)")[1]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda email: setup(fresh, draft(token, email=email)), ["a@x.example", "b@x.example"]))

    assert sorted(answer.status_code for answer in answers) in ([201, 409], [201, 410])


def test_5_afterwards_never_again(fresh: Served) -> None:
    """Used, right or wrong, the door is gone; also after a restart, which prints no new token."""
    token = re.search(r"token: (\S+)", fresh.output.read_text())[1]  # type: ignore[index]
    assert {setup(fresh, draft(word)).status_code for word in (token, "x")} == {410}
    folder: Path = fresh.data_dir
    fresh.stop()
    with serving(folder) as again:
        assert setup(again, draft(token)).status_code == 410
        assert "token:" not in again.output.read_text()
