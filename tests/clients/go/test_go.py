"""The Go client: its own tests against a real server, its README, and a server that starts anew in the middle."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.rest.openapi import document
from tests.acceptance.processes import Served
from tests.clients.go.conftest import CLIENT, credentials, go, program
from tests.clients.python.conftest import CONFIG, Laboratory, furnished, gates

BLOCKS = re.findall(r"```go\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.xdist_group("go-client")

#: But those of other protocols: IonQ's, and the 4.x library's.
ROUTES = [
    (method.upper(), path)
    for path, operations in document(endpoints(), "http://127.0.0.1:8000")["paths"].items()
    for method in operations
    if not path.startswith(("/v0.4", "/datasets"))
]

STREAM = """package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/qstore/client-go"
)

func main() {
	stream := qstore.New(qstore.Options{}).Jobs.StreamProgress(context.Background(), os.Args[1])
	for stream.Next() {
		told, _ := json.Marshal(stream.Value())
		fmt.Println(string(told))
	}
	if stream.Err() != nil {
		panic(stream.Err())
	}
}
"""


def test_generated_files_are_what_their_source_says() -> None:
    """`schemas.go` and `codes.go` are written from the server's description: run clients/go/generate."""
    loader = importlib.machinery.SourceFileLoader("go_client_generator", str(CLIENT / "generate"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)

    for path, text in module.written().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_it_needs_nothing() -> None:
    """The standard library of Go 1.19 alone."""
    assert (CLIENT / "go.mod").read_text() == "module github.com/qstore/client-go\n\ngo 1.19\n"


def test_its_own_tests(laboratory: Laboratory) -> None:
    """Vetted, formatted, and all of `go test` against a real server."""
    go("vet", "./...", cwd=CLIENT, told={})
    formatted = subprocess.run(["gofmt", "-l", "."], cwd=CLIENT, capture_output=True, text=True, check=True)

    printed = go("test", "-count=1", "-v", "./...", cwd=CLIENT, told=credentials(laboratory))

    assert formatted.stdout == ""
    assert printed.count("--- PASS") >= 12
    asked = {route(*one) for one in re.findall(r"^asked ([A-Z]+) (\S+)$", printed, re.MULTILINE)}
    assert asked == set(ROUTES), "a route without a verb, or a verb without a route"


def route(method: str, path: str) -> tuple[str, str]:
    for template in sorted((one for _, one in ROUTES), key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and (method, template) in ROUTES:
            return method, template
    return method, path


def test_the_readme(laboratory: Laboratory, tmp_path: Path) -> None:
    """Its snippets are one program, which says what they say."""
    head, *rest = BLOCKS
    text = f"package main\n\n{head}\nfunc main() {{\n{''.join(rest)}}}\n"

    printed = go("run", ".", cwd=program(tmp_path / "readme", text), told=credentials(laboratory))

    assert "Epoch 10: loss=" in printed
    accuracy = re.search(r"test accuracy ([0-9.]+)", printed)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.6
    assert "VALIDATION_ERROR [map[" in printed
    assert "no such model" in printed
    assert "OPENQASM 3" in printed
    assert "[left right]" in printed


def test_a_server_that_starts_anew(tmp_path: Path) -> None:
    """A stream is in the middle when its server is stopped and started again; each number comes once, up to the end."""
    folder = program(tmp_path / "stream", STREAM)
    go("build", "-o", "stream", ".", cwd=folder, told={})
    served = Served(tmp_path / "data")
    try:
        laboratory = furnished(served)
        with laboratory.sync() as lab:
            circuit = lab.circuits.create(name="streamed", n_qubits=4, gates=gates())
            id = lab.jobs.submit(circuit_id=circuit.id, config={**CONFIG, "epochs": 100_000}).id
        seen: list[dict[str, Any]] = []
        before = None
        with subprocess.Popen(
            [folder / "stream", id], env=credentials(laboratory), stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None
            for line in running.stdout:
                seen.append(json.loads(line))
                if before is None and seen[-1]["current_epoch"] >= 20:
                    before = seen[-1]["current_epoch"]
                    served.stop()
                    served = Served(tmp_path / "data", port=served.port)
                elif before is not None and seen[-1]["current_epoch"] > before + 50 and seen[-1]["status"] == "running":
                    with laboratory.sync() as lab:
                        lab.jobs.cancel(id)
        assert running.returncode == 0
    finally:
        served.stop()

    numbers = [one["seq"] for one in seen]
    assert numbers == sorted(set(numbers))
    assert seen[-1]["status"] == "cancelled"
    assert "queued" in {one["status"] for one in seen}, "the job went back into the line when its server stopped"
