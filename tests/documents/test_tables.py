"""The documents name everything that the code declares, as it declares it."""

from __future__ import annotations

import re

import msgspec
import pytest

from qstore_appliance import settings
from qstore_appliance.domain.audit import ACTIONS
from qstore_appliance.domain.events import CHANNELS
from tests.documents.tables import DOCS, ROOT, TABLES, up_to_date


@pytest.mark.parametrize("name", TABLES)
def test_generated_tables(name: str) -> None:
    """Error codes, settings, verbs and routes are documented; `python -m tests.documents.tables` brings them in."""
    assert up_to_date(name) == (DOCS / name).read_text(encoding="utf-8")


def test_the_file_that_operators_edit() -> None:
    """`qstore.toml` has every key at its default."""
    assert settings.template() == (ROOT / "qstore.toml").read_text(encoding="utf-8")


def test_channels() -> None:
    """Every channel is documented with its subject, permissions, event and fields, and no other is."""
    rows = [line.strip("| \n").split(" | ") for line in (DOCS / "api.md").read_text(encoding="utf-8").splitlines()]
    documented = [row for row in rows if len(row) == 5 and row[0].strip("`") in CHANNELS]

    assert documented == [
        [
            f"`{channel.name}`",
            f"`{channel.subject}`" if channel.subject else "the organization",
            ", ".join(channel.permissions),
            f"`{channel.spoken}`",
            ", ".join(field.name for field in msgspec.structs.fields(channel.shape)),
        ]
        for channel in sorted(CHANNELS.values(), key=lambda channel: channel.name)
    ]


def test_acts_of_the_audit_log() -> None:
    """Every act that the log tells of is named, and no other."""
    (sentence,) = re.findall(r"^The acts: (.+)\.$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(re.findall(r"`([^`]+)`", sentence)) == set(ACTIONS)


def test_links_lead_somewhere() -> None:
    """Every relative link and picture of README and docs exists."""

    for page in (ROOT / "README.md", *DOCS.glob("**/*.md")):
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
