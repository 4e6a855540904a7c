"""A39: words that a browser, a terminal or a spreadsheet would do something with, as the name of everything that has one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress

pytestmark = pytest.mark.attack("A39")

WORDS = (
    *("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{7*7}}", "${7*7}", "javascript:alert(3)"),
    *(
        "<svg onload=alert(4)>",
        '"><b onmouseover=alert(5)>',
        "' onfocus=alert(6) autofocus='",
        "<!--",
        "]]>",
        "&lt;b&gt;",
    ),
    *(
        "abc\u202egnp.exe",
        "\u200b\u200bzero",
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "+1+1",
        "-2+3",
        "<a href=//evil.example>x</a>",
    ),
    *(
        "<style>*{display:none}</style>",
        "<base href=//evil.example>",
        "<meta http-equiv=refresh content=0>",
        "%3Cscript%3E",
    ),
)
Make = Callable[[httpx.Client, str], httpx.Response]


def job(client: httpx.Client, **more: Any) -> httpx.Response:
    circuit = data(client.post("/v1/circuits", json=CIRCUIT))["id"]
    config = {"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}}
    answer = client.post("/v1/jobs", json={"circuit_id": circuit, "config": config, **more})
    if answer.status_code == 202:
        client.post(f"/v1/jobs/{data(answer)['job_id']}/cancel")
        return client.get(f"/v1/jobs/{data(answer)['job_id']}")
    return answer


TABLE = b"a,b,label\n" + b"1,2,x\n3,4,y\n" * 5
NOUNS: dict[str, Make] = {
    "circuit": lambda c, w: c.post("/v1/circuits", json=CIRCUIT | {"name": w}),
    "description": lambda c, w: c.post("/v1/circuits", json=CIRCUIT | {"description": w}),
    "tag of a circuit": lambda c, w: c.post("/v1/circuits", json=CIRCUIT | {"metadata": {"tags": [w]}}),
    "metadata": lambda c, w: c.post("/v1/circuits", json=CIRCUIT | {"metadata": {"note": w}}),
    "data set": lambda c, w: c.post("/v1/datasets", data={"name": w}, files={"file": ("a.csv", TABLE)}),
    "class": lambda c, w: c.post("/v1/datasets", files={"file": ("a.csv", written([["a", "l"], ["1", w], ["2", "y"]] * 1))}),
    "column": lambda c, w: c.post("/v1/datasets", files={"file": ("a.csv", written([[w, "l"], ["1", "x"], ["2", "y"]]))}),
    "key": lambda c, w: c.post("/v1/api-keys", json={"name": w, "scopes": ["jobs:read"]}),
    "project": lambda c, w: job(c, project=w),
    "tag of a job": lambda c, w: job(c, tags=[w]),
    "person": lambda c, w: c.patch("/v1/users/me", json={"name": w}),
}  # fmt: skip


def written(rows: list[list[str]]) -> bytes:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue().encode()


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("noun", NOUNS)
def test_names_are_text(owner: httpx.Client, noun: str, word: str) -> None:
    """A name is kept to the letter or refused, and travels as JSON that no browser takes for a page."""
    answer = NOUNS[noun](owner, word)

    assert answer.status_code in (200, 201, 422), answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    if answer.status_code < 300 and noun not in ("column",):
        assert word in strings(answer.json())


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in (key, *strings(inner))]
    if isinstance(value, list):
        return [one for inner in value for one in strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.fixture(scope="module")
def browser(fortress: Fortress) -> Iterator[httpx.Client]:
    """A browser of the owner's, with the dashboard's cookie."""
    with fortress.client(None) as client:
        client.headers["Cookie"] = fortress.cookie()
        yield client


@pytest.mark.parametrize("word", WORDS[:12])
def test_pages_hold_no_markup_of_others(owner: httpx.Client, browser: httpx.Client, word: str) -> None:
    """The pages as they are sent have none of it outside of what is escaped, wherever the owner's name is shown."""
    before = data(owner.get("/v1/users/me"))["name"]
    owner.patch("/v1/users/me", json={"name": word}).raise_for_status()
    try:
        for path in (
            "/app/jobs",
            "/app/models",
            "/app/costs",
            "/app/account",
            f"/app/jobs/{word}",
            f"/app/nothing/{word}",
        ):
            answer = browser.get(path)

            assert answer.status_code in (200, 404), path
            if "<" in word:
                assert word not in answer.text, path
    finally:
        owner.patch("/v1/users/me", json={"name": before}).raise_for_status()


@pytest.mark.parametrize("word", WORDS)
def test_drawings_and_programs(owner: httpx.Client, word: str) -> None:
    """A circuit's name is not markup in its drawing, and no line of its own in its program or in a header."""
    made = owner.post("/v1/circuits", json=CIRCUIT | {"name": word})
    assert made.status_code == 201
    id = data(made)["id"]

    drawing = owner.get(f"/v1/circuits/{id}/drawing")

    assert drawing.status_code == 200
    if "<" in word:
        assert word not in drawing.text
    assert (
        "sandbox" in drawing.headers["Content-Security-Policy"]
        or "default-src 'none'" in drawing.headers["Content-Security-Policy"]
    )
    for format in ("qasm2", "qasm3", "unified"):
        answer = owner.get(f"/v1/circuits/{id}", params={"format": format})
        assert answer.status_code in (200, 422)
        assert "text/html" not in answer.headers["Content-Type"]


@pytest.mark.parametrize("word", [word for word in WORDS if word[0] in "=@+-"])
def test_tables_hold_no_formulas(owner: httpx.Client, word: str) -> None:
    """In the audit's CSV, which opens in spreadsheets, no cell begins like a formula."""
    owner.post("/v1/api-keys", json={"name": word, "scopes": ["jobs:read"]}).raise_for_status()
    owner.patch("/v1/users/me", json={"name": word}).raise_for_status()

    answer = owner.get("/v1/audit", params={"format": "csv"})

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert word.lstrip("=@+-") in answer.text
    for row in csv.reader(io.StringIO(answer.text)):
        for cell in row:
            assert not cell.startswith(("=", "@", "+", "-")), cell
