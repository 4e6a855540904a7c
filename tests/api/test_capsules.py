"""Archives of models over HTTP: taken out, looked at, taken in, refused."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx

from qstore_appliance.database.tables.models import ModelRow
from tests.api.conftest import Client, Served
from tests.factories import make_model_row
from tests.services.test_capsules import artifact_of


async def stored(served: Served, role: str = "developer") -> ModelRow:
    content = artifact_of()
    digest = await served.appliance.blobs.put(content)
    return await make_model_row(
        await served.caller(role),
        version="1.0.0",
        name="irises & more",
        artifact_digest=digest,
        artifact_bytes=len(content),
        metrics={"accuracy": 0.9},
    )


async def sent(client: httpx.AsyncClient, path: str, content: bytes, **fields: str) -> httpx.Response:
    return await client.post(path, files={"file": ("a.qcap", content)}, data=fields, timeout=60)


async def test_out_and_in(served: Served, client: Client) -> None:
    """An archive is a zip to keep; it is inspected, and another organization of the house takes it in with its circuit."""
    owner, viewer, stranger = client("owner"), client("viewer"), client("stranger")
    row = await stored(served)

    answer = await viewer.get(f"/v1/models/{row.id}/export", timeout=60)
    signer = (await viewer.get("/v1/models/signer")).json()["data"]
    inspected = await sent(viewer, "/v1/models/verify", answer.content)
    taken = await sent(stranger, "/v1/models/import", answer.content, version="1.1.0")
    twice = await sent(owner, "/v1/models/import", answer.content)

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="irises-more-1.0.0.qcap"'
    assert "artifact.npz" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    found = inspected.json()["data"]
    assert (inspected.status_code, found["signer"]) == (200, signer)
    assert (signer["standing"], found["metrics"], found["n_qubits"]) == ("own", {"accuracy": 0.9}, 2)
    model = taken.json()["data"]
    assert (taken.status_code, taken.headers["Location"]) == (201, f"/v1/models/{model['id']}")
    assert (model["name"], model["version"], model["training_job_id"]) == ("irises & more", "1.1.0", None)
    assert model["lineage"]["imported"]["signed_by"] == signer["fingerprint"]
    assert (await stranger.get(f"/v1/circuits/{model['circuit_id']}")).status_code == 200
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "CONFLICT")
    assert [(await stranger.get(f"/v1/models/{row.id}/export")).status_code] == [404]


async def test_a_repetition_imports_once(served: Served, client: Client) -> None:
    """The same form under the same key is answered with the same model."""
    stranger = client("stranger")
    content = (await client("owner").get(f"/v1/models/{(await stored(served)).id}/export")).content
    stranger.headers["Idempotency-Key"] = "one"

    first = await sent(stranger, "/v1/models/import", content)
    second = await sent(stranger, "/v1/models/import", content)

    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert second.headers["Idempotent-Replayed"] == "true"


async def test_refusals(served: Served, client: Client) -> None:
    """A viewer may not import; what is no archive, changed or too large has its code, and leaves no file behind."""
    owner, viewer = client("owner"), client("viewer")
    content = (await owner.get(f"/v1/models/{(await stored(served)).id}/export")).content

    async def code(path: str, what: bytes, by: httpx.AsyncClient = owner, **fields: str) -> tuple[int, Any]:
        answer = await sent(by, path, what, **fields)
        return answer.status_code, answer.json()["error"]["code"]

    assert await code("/v1/models/import", content, viewer) == (403, "FORBIDDEN")
    for path in ("/v1/models/import", "/v1/models/verify"):
        assert await code(path, content[:-9]) == (422, "VALIDATION_ERROR")
        assert await code(path, content.replace(b'"accuracy":0.9', b'"accuracy":1.0')) == (422, "VALIDATION_ERROR")
    assert await code("/v1/models/verify", content, name="x") == (422, "VALIDATION_ERROR")
    assert (await owner.post("/v1/models/verify", json={})).status_code == 415
    folder = served.settings.data_dir / "uploads"
    assert list(folder.iterdir()) == []


async def test_an_artifact_that_was_altered_on_disk(served: Served, client: Client) -> None:
    """Whatever was done to the stored file, no archive is made of it: 409 with its code."""
    row = await stored(served)
    (file,) = [path for path in served.settings.blob_dir.rglob("*.bin") if path.stem in row.artifact_digest]
    file.write_bytes(file.read_bytes()[:-1] + b"x")

    answer = await client("owner").get(f"/v1/models/{row.id}/export")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ARTIFACT_CORRUPT")
