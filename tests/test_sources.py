"""What the program's own text must not hold: weak hashes, guessable numbers, patterns and formats made of input."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("qstore_appliance", "plugins", "clients/python/qstore_client")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
#: SHA-1 for a file of somebody else's whose digest is published so; and whatever the file `mnist` came with.
PUBLISHED = {"qstore_appliance/engine/idx.py"}
#: Where numbers that anybody may guess are drawn: samples, initial values, and how far retries lie apart.
GUESSABLE = ("qstore_appliance/engine/", "plugins/backends/", "clients/python/", "qstore_appliance/services/outbox.py")
PATTERNS = {"compile", "match", "fullmatch", "search", "sub", "subn", "findall", "finditer", "split"}


def calls(file: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_hashes() -> None:
    """SHA-256 alone, but where somebody else has published another digest."""
    for file in FILES:
        for call, function in calls(file):
            assert not function.startswith(("hashlib.md", "hashlib.sha1")), name(file)
            if function in ("hashlib.new", "hashlib.file_digest"):
                named = ast.unparse(call.args[-1 if function == "hashlib.file_digest" else 0])
                assert named in ("'sha256'", "hashlib.sha256") or name(file) in PUBLISHED, (name(file), named)
            if function == "hmac.new":
                assert "sha256" in ast.unparse(call), name(file)


def test_ciphers() -> None:
    """No cipher, mode or padding is put together here: what is sealed is sealed by Fernet, AES in CBC with its HMAC."""
    loose = ("cryptography.hazmat.primitives.ciphers", "cryptography.hazmat.primitives.padding", "Crypto", "nacl")
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            assert not [one for one in modules if one.startswith(loose)], name(file)
    (sealing,) = [file for file in FILES if "fernet" in file.read_text(encoding="utf-8").lower()]
    assert name(sealing) == "qstore_appliance/services/seals.py"


def test_random_numbers() -> None:
    """Modules of numbers that can be guessed are used only where nobody gains by guessing; the rest has `secrets`."""
    for file in FILES:
        if name(file).startswith(GUESSABLE):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            assert "random" not in names, name(file)
            assert not (isinstance(node, ast.ImportFrom) and node.module == "random"), name(file)
        assert not any(
            function.startswith(("np.random", "numpy.random", "uuid.uuid1")) for _, function in calls(file)
        ), name(file)


def is_ours(node: ast.expr) -> bool:
    """A text that stands in the program, or is put together of such and of what `re.escape` has made harmless."""
    match node:
        case ast.Constant(value=str() | bytes()):
            return True
        case ast.Name(id=text) | ast.Attribute(attr=text):
            # A constant of the module; nothing else is written so.
            return text.isupper()
        case ast.BinOp(left=left, right=right):
            return is_ours(left) and is_ours(right)
        case ast.JoinedStr(values=values):
            return all(is_ours(value) for value in values)
        case ast.FormattedValue(value=value):
            return is_ours(value)
        case ast.Call(func=ast.Attribute(attr="escape", value=ast.Name(id="re"))):
            return True
    return False


def test_patterns_are_ours() -> None:
    """No pattern is made of what somebody has sent, unless its letters were escaped."""
    strange = []
    for file in FILES:
        for call, function in calls(file):
            module, _, verb = function.rpartition(".")
            if module == "re" and verb in PATTERNS and not is_ours(call.args[0]):
                strange.append((name(file), ast.unparse(call)))

    # Of a declared path, whose other letters are ours.
    assert {file for file, _ in strange} <= {"qstore_appliance/api/registry.py"}, strange


def test_formats_are_ours() -> None:
    """What is formatted is a text of the program: no name, message or field of somebody's is ever a format."""
    for file in FILES:
        for call, function in calls(file):
            if not function.endswith((".format", ".format_map")) or function == "msgspec.json.format":
                continue
            assert isinstance(call.func, ast.Attribute)
            text = call.func.value
            constant = isinstance(text, ast.Subscript) and is_ours(text.value)
            assert is_ours(text) or constant, (name(file), ast.unparse(call))


@pytest.mark.parametrize("planted", ["re.compile(name)", "re.sub(f'{name}+', '', text)", "re.match(prefix + name, x)"])
def test_what_the_walk_would_find(planted: str) -> None:
    """A pattern out of a variable is none of ours."""
    (call,) = [node for node in ast.walk(ast.parse(planted)) if isinstance(node, ast.Call)]

    assert not is_ours(call.args[0])
