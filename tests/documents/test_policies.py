"""`docs/security.md` says what the program does: its figures, libraries, events and settings are the code's."""

from __future__ import annotations

import ast
import json
import re
from importlib import resources
from pathlib import Path

import pytest

import qstore_appliance
from qstore_appliance import settings
from qstore_appliance.api import inputs, registry, uploads
from qstore_appliance.api.app import endpoints
from qstore_appliance.api.graphql import documents, plan, view
from qstore_appliance.api.registry import PUBLIC
from qstore_appliance.domain.listing import MAX_LIMIT
from qstore_appliance.domain.sessions import Method
from qstore_appliance.engine.archive import Bounds
from qstore_appliance.engine.samples import MAX_CLASSES
from qstore_appliance.services import codes, failures, passwords, sessions

PACKAGE = Path(qstore_appliance.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "security.md").read_text(encoding="utf-8")
#: Libraries that know a cipher, a hash with a key, or a signature.
LIBRARIES = {"argon2", "cryptography", "jwt", "joserfc", "pyotp", "ssl", "Crypto", "nacl", "bcrypt", "passlib"}
LEVELS = {"debug", "info", "warning", "error", "exception"}


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip(" |") for cell in line] for line in lines[2:]]


def trees() -> dict[str, ast.Module]:
    return {
        str(file.relative_to(PACKAGE)): ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")
    }


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_cryptography_is_where_the_list_says() -> None:
    """The inventory names every module that encrypts, signs or speaks TLS with the library that does it, and no other."""
    found = {(file, library) for file, tree in trees().items() for library in imported(tree) & LIBRARIES}

    assert found == {(row[0].strip("`"), row[1].strip("`")) for row in rows("Cryptography")}


def _choices(event: ast.expr) -> list[ast.expr]:
    return [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]


def test_events_are_the_logs() -> None:
    """Every line that the log can hold is named, and no other."""
    logged = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in LEVELS and ast.unparse(called.value) == "log":
                assert isinstance(node, ast.Call)
                events = {one.value for one in _choices(node.args[0]) if isinstance(one, ast.Constant)}
                assert events, ast.unparse(node)
                logged |= events

    assert set(re.findall(r"`([^`]+)`", " ".join(row[2] for row in rows("What is logged")))) == logged


def test_settings_that_are_named_exist() -> None:
    """Whatever looks like a setting is one."""
    known = {f"{section}.{key}" for section, kind in settings.SECTIONS.items() for key in kind.__dataclass_fields__}
    named = {
        name
        for name in re.findall(r"`([a-z]+\.[a-z_]+)`", PAGE.split("## What is logged")[0])
        if name.partition(".")[0] in settings.SECTIONS
    } - {"jobs.delete"}

    assert named - known == set()
    assert {name for name in known if name.startswith("limits.sign_in")} <= named
    assert {name for name in known if name.startswith("auth.")} - {"auth.access_seconds"} <= named


@pytest.mark.parametrize(
    "figure",
    [
        f"{passwords.MIN_LENGTH} to {passwords.MAX_LENGTH} characters",
        "2 threads with 32 waiting",
        f"{codes.WRONG_CODES} an hour",
        f"forgotten after {sessions.KEEP_ENDED.days} days",
        f"| {registry.BODY:,} bytes |",
        f"| {registry.LARGE_BODY:,} bytes; of GraphQL {view.BODY:,} |",
        f"| {Bounds().ratio:.0f} times its packed size |",
        f"| {MAX_CLASSES:,} |",
        f"| {inputs.MAX_DEPTH} |",
        f"| {inputs.MAX_KEYS:,} |",
        f"| {MAX_LIMIT} |",
        f"{documents.MAX_BYTES:,} bytes, {documents.MAX_TOKENS:,} tokens, depth {plan.MAX_DEPTH}, "
        f"cost {plan.MAX_COST:,}, {plan.MAX_MUTATIONS} mutations",
        f"| {inputs.BODY_SECONDS} |",
    ],
)
def test_figures(figure: str) -> None:
    """Figures on the page are those of the program."""
    assert figure in re.sub(r"\n(?!\n|\||-|#)", " ", PAGE) or figure in PAGE


def test_figures_that_are_words() -> None:
    """The common passwords are as many as the page says, failures are counted as long, an upload waits as long."""
    common = json.loads(resources.files("qstore_appliance.services").joinpath("common_passwords.json").read_text())

    assert f"the {len(common['passwords']):,} most common ones" in PAGE
    assert failures.WINDOW_SECONDS == 300
    assert "counted for five minutes" in PAGE
    assert uploads.BODY_SECONDS == inputs.BODY_SECONDS


#: What the standard wants written down, by its number, and a sentence of the page that does it.
DOCUMENTED = {
    "2.1.2": "a job's task decides whether it takes a data set or a Hamiltonian, `noise` needs `shots`",
    "6.1.2": "one's own words: the address, what stands before its `@`, the name, and the name of the organization",
    "6.1.3": "A key carries no second factor and no operator's right",
    "7.1.2": "A person may have as many sessions at once as they like",
    "7.1.3": "signing out at the provider does not end it",
    "8.1.2": "| `organization.settings` | every member | `organization:write`",
    "11.1.1": "one secret of 256 bits in `secret.key` (0600), made at the first start",
    "13.1.1": "| Postgres | `database.url` |",
    "14.1.1": "| opens doors | `secret.key`, passwords, tokens, keys, provider tokens |",
    "14.1.2": "never in logs, errors, figures, addresses or browsers' storage",
    "15.1.1": "within 3 days of its publication where it is critical",
    "15.1.3": "**What is costly**, and what stands before it",
}


@pytest.mark.parametrize("number", DOCUMENTED)
def test_what_is_documented(number: str) -> None:
    """Requirements that ask for a document are answered on the page, in words that are still there."""
    assert DOCUMENTED[number] in re.sub(r"\n(?!\n|\||-|#)", " ", PAGE)


def test_ways_in_are_the_doors() -> None:
    """Every address that takes something secret from a stranger belongs to a way in that the page has."""
    doors = {endpoint.path for endpoint in endpoints() if endpoint.permission == PUBLIC and endpoint.method == "POST"}

    assert doors == {
        "/v1/auth/token",
        "/v1/auth/password-reset",
        "/v1/auth/password-reset/confirm",
        "/v1/invitations/offer",
        "/v1/invitations/accept",
    }
    ways = " ".join(row[0] for row in rows("Ways in"))
    assert all(word in ways for word in ("password", "OpenID", "refresh", "cookie", "API key", "invitation", "reset"))
    assert {method.value for method in Method} == {"password", "authenticator", "recovery_code", "provider"}
