"""A46, A48, A50: slow patterns, SQL in values, and lines of the log that somebody else wrote."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress

SLOW = ("a" * 50_000 + "!", "@" * 50_000, "a@" * 10_000, ":" * 20_000, "0" * 50_000 + "x", "(" * 20_000, "\\" * 20_000)


@pytest.mark.attack("A46")
@pytest.mark.parametrize("text", SLOW, ids=range(len(SLOW)))
def test_patterns_that_slow_down(owner: httpx.Client, anonymous: httpx.Client, text: str) -> None:
    """Where a pattern looks at what is sent, its length is looked at first, and nothing takes long or fails."""
    answers = [
        owner.post("/v1/api-keys", json={"name": "k", "scopes": [text]}),
        owner.post("/v1/circuits", json=CIRCUIT | {"name": text}),
        owner.post("/v1/circuits", json=CIRCUIT | {"metadata": {"tags": [text]}}),
        owner.put(
            "/v1/budget",
            json={"monthly_limit": 1, "alerts": [{"threshold": 1, "action": "email", "recipients": [text]}]},
        ),
        owner.put(
            "/v1/budget", json={"monthly_limit": 1, "alerts": [{"threshold": 1, "action": "webhook", "webhook": text}]}
        ),
        anonymous.post("/v1/auth/token", json={"grant_type": "password", "email": text, "password": "x"}),
        owner.get("/v1/circuits", params={"tags": text[:3_000]}),
        owner.get("/v1/audit", params={"since": text[:3_000]}),
    ]

    assert all(answer.status_code in (413, 422) for answer in answers), [answer.status_code for answer in answers]
    assert sum(answer.elapsed.total_seconds() for answer in answers) < 30


SQL = (
    *(
        "' OR '1'='1",
        "'; DROP TABLE users; --",
        '" OR 1=1 --',
        "1) UNION SELECT id FROM users --",
        "%' --",
        "\\' OR 1 --",
    ),
    *(
        "%",
        "_",
        "%_%_%_%_%_%",
        "$1",
        "?",
        ":1",
        "{{7*7}}",
        "${7*7}",
        "<%= 7*7 %>",
        "$(id)",
        "`id`",
        "|id",
        "\\u0027",
        "';--",
    ),
)


@pytest.mark.attack("A48")
@pytest.mark.parametrize("text", SQL)
def test_values_are_values(owner: httpx.Client, fortress: Fortress, text: str) -> None:
    """In names, tags, filters, ids and searches these are letters: stored and found as such, and they find nothing else."""
    made = data(owner.post("/v1/circuits", json=CIRCUIT | {"name": text, "metadata": {"tags": [text]}}))

    assert data(owner.get(f"/v1/circuits/{made['id']}"))["name"] == text
    for path, name in (("/v1/audit", "q"), ("/v1/audit", "actor"), ("/v1/audit", "subject"), ("/v1/audit", "address")):
        answer = owner.get(path, params={name: "no such thing " + text})
        assert (answer.status_code, answer.json()["meta"]["total"]) == (200, 0)
    for path, name in (
        ("/v1/circuits", "sort"),
        ("/v1/jobs", "status"),
        ("/v1/audit", "action"),
        ("/v1/audit", "sort"),
    ):
        assert owner.get(path, params={name: text}).status_code == 422
    assert owner.get(f"/v1/audit?offset={10**12}").status_code == 422
    assert fortress.things["circuits"] in owner.get("/v1/circuits?limit=100&sort=created_at").text


LINES = ("a\nb", "a\r\nb", '{"level": "critical"}', "\x1b[2J\x1b[31m", "a\u2028b", "a\u0085b", "x" * 9_000, "\u202eabc")


@pytest.mark.attack("A50")
@pytest.mark.parametrize("text", LINES, ids=range(len(LINES)))
def test_one_event_is_one_line(fortress: Fortress, anonymous: httpx.Client, text: str) -> None:
    """Whatever is in a request, each line of the log is one JSON object of ours, and none paints the terminal."""
    anonymous.post(
        "/v1/auth/token",
        json={"grant_type": "password", "email": f"{text}@x"[-255:], "password": text[:200]},
        headers={
            "User-Agent": text.encode("utf-8").replace(b"\r", b"").replace(b"\n", b"").replace(b"\x1b", b"")[:500]
        },
    )
    anonymous.get(f"/v1/{text[:100].encode().hex()}")

    for line in fortress.log().split("\n"):
        assert "\x1b" not in line
        assert not line or isinstance(json.loads(line), dict)
        assert len(line) < 100_000
