"""The dashboard's files: what was taken from others is unchanged, nothing comes from elsewhere, colours can be read."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
STATIC = WEB / "static"
OURS = [
    *sorted((STATIC / "js").glob("*.js")),
    *sorted((STATIC / "css").glob("*.css")),
    *sorted(WEB.glob("templates/*")),
]
# Names of XML namespaces are no addresses: nothing is fetched from there.
NAMESPACES = ("http://www.w3.org/2000/svg",)
COLOURS = {
    name: pair
    for name, *pair in re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (STATIC / "css" / "tokens.css").read_text()
    )
}
GROUNDS = ("paper", "surface", "sunk", "raised")
#: What is written in which colour on which ground.
WRITTEN = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3", "accent", "bad") for ground in GROUNDS),
    ("accent-ink", "accent"),
    ("accent-ink", "accent-strong"),
    ("bad-ink", "bad"),
    ("accent-strong", "accent-soft"),
    ("good", "good-soft"),
    ("good", "surface"),
    ("bad", "bad-soft"),
    ("wait", "wait-soft"),
    ("wait", "paper"),
]


def manifest() -> list[tuple[str, str]]:
    packages = json.loads((STATIC / "vendor" / "MANIFEST.json").read_text())["packages"]
    assert all(package["name"] and package["version"] and package["licence"] for package in packages)
    return [(file["path"], file["sha256"]) for package in packages for file in package["files"]]


@pytest.mark.parametrize(("path", "digest"), manifest())
def test_a_vendored_file_is_what_the_manifest_says(path: str, digest: str):
    """No byte of a vendored file was changed after it was taken over."""
    assert hashlib.sha256((STATIC / path).read_bytes()).hexdigest() == digest


def test_every_vendored_file_is_in_the_manifest():
    """Nothing lies among the vendored files whose origin is unknown."""
    found = {
        file.relative_to(STATIC).as_posix()
        for folder in ("vendor", "fonts")
        for file in (STATIC / folder).rglob("*")
        if file.is_file() and file.name != "MANIFEST.json"
    }
    assert found == {path for path, _ in manifest()}


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_no_file_names_another_host(file: Path):
    """Our templates, scripts and styles load nothing from the network."""
    text = file.read_text()
    for namespace in NAMESPACES:
        text = text.replace(namespace, "")
    assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", text, re.IGNORECASE) == []


@pytest.mark.parametrize("file", sorted(WEB.glob("templates/*.html")), ids=lambda file: file.name)
def test_a_template_has_no_script_or_style_of_its_own(file: Path):
    """Inline scripts, styles and event handlers would need a weaker policy."""
    text = file.read_text()
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_nothing_of_yesterday():
    """Pages are HTML, CSS, modules and pictures: no plugin, no frame, no applet, no kind of file that browsers gave up."""
    kinds = {file.suffix for file in STATIC.rglob("*") if file.is_file()}
    assert kinds <= {".css", ".js", ".svg", ".woff2", ".json", ".txt", ".md", ""}, kinds
    for file in WEB.glob("templates/*.html"):
        assert re.findall(r"<(?:object|embed|applet|frame|frameset|iframe|bgsound|marquee)\b", file.read_text()) == []


#: Programs of others on pages of their own: the dashboard loads none of them.
EXPLORERS = ("graphiql", "graphql-ws", "react", "react-dom", "redoc", "swagger-ui")


def test_the_scripts_are_small():
    """All JavaScript of the dashboard together stays under 200 KB as it travels."""
    files = [file for file in STATIC.rglob("*.js") if file.parent.name not in EXPLORERS]
    size = sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)
    assert size <= 200_000


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), WRITTEN)
def test_text_can_be_read(ink: str, ground: str, scheme: int):
    """Every colour that text has on every ground that it stands on keeps WCAG's AA contrast of 4.5."""
    lighter, darker = sorted((luminance(COLOURS[ink][scheme]), luminance(COLOURS[ground][scheme])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("line", ["line-strong", "accent", "copper"])
def test_controls_and_curves_can_be_seen(line: str, scheme: int):
    """Borders of controls and the curves of a plot keep WCAG's contrast of 3 for graphics."""
    lighter, darker = sorted((luminance(COLOURS[line][scheme]), luminance(COLOURS["surface"][scheme])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
