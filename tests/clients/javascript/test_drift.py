"""The JavaScript client says what the server says: its types, its errors, and a verb for every route."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.rest.openapi import document
from tests.clients.javascript.conftest import CLIENT, Runner

DOCUMENT = document(endpoints(), "http://127.0.0.1:8000")
TYPESCRIPT = "5.9.3"

pytestmark = pytest.mark.xdist_group("javascript-client")

#: Asks every verb of every noun with a `fetch` that notes what it was asked for, and refuses.
ASKS = """
import { QStoreClient, BY_CODE } from '@qstore/client';
const asked = [];
const fetch = async (url, { method = 'GET' } = {}) => {
  asked.push([method, new URL(url).pathname]);
  throw Object.assign(new Error('noted'), { cause: { code: 'ECONNREFUSED' } });
};
const client = new QStoreClient({ baseUrl: 'http://127.0.0.1:9', apiKey: 'qsk_test_none', retries: 0, fetch });
for (const noun of Object.values(client)) {
  for (const verb of Object.getOwnPropertyNames(Object.getPrototypeOf(noun))) {
    if (verb === 'constructor' || noun === client.events) continue;
    try {
      const answered = noun[verb]('a', verb === 'export' ? 'qasm3' : { awaySeconds: 0 }, {});
      await (answered?.next ? answered.next() : answered);
    } catch (error) { if (!/noted|stayed away/.test(error.message)) throw error; }
  }
}
asked.push(['GET', '/v1/events']);
await client.auth.logout().catch(() => undefined);
console.log(JSON.stringify({ asked, codes: Object.keys(BY_CODE) }));
"""


def generator() -> Any:
    loader = importlib.machinery.SourceFileLoader("javascript_client_generator", str(CLIENT / "generate"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_generated_files_are_what_their_source_says() -> None:
    """`schemas.ts` is written from the server's description: run clients/javascript/generate."""
    for path, text in generator().written().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_types_are_those_of_the_source(tmp_path: Path) -> None:
    """`types/` is what tsc, strict, makes of `src/`: run `npx -p typescript tsc` in clients/javascript."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node with npm on this machine")
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    done = subprocess.run([*install, f"typescript@{TYPESCRIPT}"], cwd=tmp_path, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no node with npm that can install typescript: {done.stderr.strip()[-200:]}")
    tsc = tmp_path / "node_modules" / ".bin" / "tsc"
    made = subprocess.run(
        [tsc, "-p", CLIENT, "--outDir", tmp_path / "types"], cwd=tmp_path, capture_output=True, text=True
    )

    assert made.returncode == 0, made.stdout
    fresh = {path.name: path.read_text() for path in (tmp_path / "types").iterdir()}
    assert fresh == {path.name: path.read_text() for path in (CLIENT / "types").iterdir()}
    (tmp_path / "package.json").write_text('{"type": "module"}')
    strict = tmp_path / "program.ts"
    strict.write_text(
        f"import {{ QStoreClient, NotFound }} from '{CLIENT / 'types' / 'index.js'}';\n"
        "const client = new QStoreClient({ apiKey: 'x' });\n"
        "const job = await client.jobs.submit({ circuit_id: 'c', config: { epochs: 1 } });\n"
        "for await (const update of client.jobs.streamProgress(job.id)) { const loss: number | null = update.loss; void loss; }\n"
        "// @ts-expect-error: a circuit has no colour\n"
        "(await client.circuits.get('c')).colour;\n"
        "// @ts-expect-error: a job needs its circuit\n"
        "await client.jobs.submit({ config: {} });\n"
        "void NotFound;\n"
    )
    flags = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"]
    checked = subprocess.run(
        [tsc, *flags, "--skipLibCheck", "false", strict.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_every_route_has_a_verb_and_every_code_a_class(node: Runner) -> None:
    """Together the verbs ask every route that is not of another protocol, and no other; errors have all codes."""
    found = json.loads(node("asks.mjs", ASKS, {}))
    described = {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
        if not path.startswith(("/v0.4", "/datasets"))
    }

    def route(method: str, path: str) -> tuple[str, str]:
        for template in sorted(DOCUMENT["paths"], key=lambda one: one.count("{")):
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and (method, template) in described:
                return method, template
        return method, path

    assert {route(*one) for one in found["asked"]} == described
    codes = set(DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"])
    assert codes - set(found["codes"]) == {"CONFIGURATION", "DATA_DIRECTORY_IN_USE", "REFUSED"}
    assert set(found["codes"]) <= codes


def test_it_needs_nothing() -> None:
    """No dependency, and nothing of Node's own: the same files run in a browser."""
    package = json.loads((CLIENT / "package.json").read_text())
    sources = "\n".join(path.read_text() for path in (CLIENT / "src").glob("*.js"))

    assert "dependencies" not in package
    assert not re.findall(r"from '(?!\./)[^']+'", sources)
    assert "require(" not in sources
