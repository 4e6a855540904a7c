"""
The HTTP client of the 4.x library: bare JSON at the root, as it reads it.

It is asked as that client asks (paths, parameters, headers, `requests`); only its methods are written anew here.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import requests

from qstore_appliance.engine.dataset_names import BUILTIN
from tests.api.conftest import Client, Served
from tests.api.test_datasets import npz, upload

FIELDS = {"id", "name", "source", "description", "num_samples", "num_classes", "splits", "metadata"}

Ask = Callable[..., Any]


@pytest.fixture
def ask(served: Served) -> Ask:
    """One request of that client, in a thread: it knows no asyncio."""

    async def asked(
        method: str, path: str, *, role: str = "owner", headers: dict[str, str] | None = None, **more: Any
    ) -> requests.Response:
        session = requests.Session()
        session.trust_env = False
        session.headers.update(headers or {"Authorization": f"Bearer {served.token(role)}"})
        return await asyncio.to_thread(session.request, method, served.url + path, timeout=60, **more)

    return asked


async def test_listing(ask: Ask, client: Client) -> None:
    """An array of data sets with that library's fields, by source, and part of it."""
    mine = (await upload(client("owner"))).json()["data"]["id"]

    rows = (await ask("GET", "/datasets", params={"offset": 0})).json()

    assert {frozenset(row) for row in rows} == {frozenset(FIELDS)}
    digits = next(row for row in rows if row["id"] == "digits")
    assert (digits["num_samples"], digits["num_classes"], digits["source"]) == (1797, 10, "builtin")
    assert digits["splits"] == ["train", "val", "test"]
    custom = (await ask("GET", "/datasets", params={"offset": 0, "source": "custom", "limit": 1000})).json()
    assert [(row["id"], row["source"]) for row in custom] == [(mine, "custom")]
    assert (await ask("GET", "/datasets", params={"offset": 0, "source": "huggingface"})).json() == []
    second = (await ask("GET", "/datasets", params={"offset": 1, "limit": 1})).json()
    assert second == rows[1:2]


async def test_one_of_them(ask: Ask) -> None:
    """By its id; what is not there is 404, which is all that client looks at."""
    assert set((await ask("GET", "/datasets/iris")).json()) == FIELDS
    with pytest.raises(requests.HTTPError):
        (await ask("GET", "/datasets/uuid-123")).raise_for_status()


@pytest.mark.parametrize("name", sorted(BUILTIN))
async def test_downloading_arrays(ask: Ask, name: str) -> None:
    """NPZ with `x` and `y` and no pickles; the three parts are all samples, each once."""
    found = {}
    for split in ("train", "val", "test"):
        answer = await ask("GET", f"/datasets/{name}/download", params={"split": split, "format": "numpy"})
        assert answer.status_code == 200
        with np.load(io.BytesIO(answer.content), allow_pickle=False) as data:
            found[split] = (data["x"], data["y"])

    assert sum(len(x) for x, _ in found.values()) == BUILTIN[name].n_samples
    assert {x.shape[1] for x, _ in found.values()} == {BUILTIN[name].n_features}
    assert all(len(x) == len(y) for x, y in found.values())
    assert set(found["train"][1].tolist()) == set(range(len(BUILTIN[name].classes)))
    assert len(found["train"][0]) == pytest.approx(0.8 * BUILTIN[name].n_samples, rel=0.02)


async def test_downloading_json(ask: Ask, client: Client) -> None:
    """As lists too, of an upload whose labels are measurements as they are; other formats are refused."""
    x = np.arange(20.0)[:, None]
    made = await upload(client("owner"), npz(x=x, y=x[:, 0] * 0.25 + 0.1), "numbers.npz")
    id = made.json()["data"]["id"]
    assert made.json()["data"]["classes"] == []

    data = (await ask("GET", f"/datasets/{id}/download", params={"split": "train", "format": "json"})).json()

    assert set(data) == {"x", "y"}, data
    assert np.array(data["y"]) == pytest.approx(np.array(data["x"])[:, 0] * 0.25 + 0.1)
    assert len(data["x"]) == 16
    for wrong in ({"format": "csv"}, {"split": "all"}):
        assert (await ask("GET", f"/datasets/{id}/download", params=wrong)).status_code == 422


async def test_few_samples_of_many_classes(ask: Ask, client: Client) -> None:
    """They have parts too, drawn without a look at the classes."""
    rows = b"a,kind\n" + b"".join(f"{i},k{i}\n".encode() for i in range(20))
    id = (await upload(client("owner"), rows, "kinds.csv")).json()["data"]["id"]
    parts = [
        (await ask("GET", f"/datasets/{id}/download", params={"split": split, "format": "json"})).json()
        for split in ("train", "val", "test")
    ]

    assert [len(part["x"]) for part in parts] == [16, 2, 2]
    assert sorted(row for part in parts for (row,) in part["x"]) == list(range(20))


async def test_nothing_stays_behind(ask: Ask, served: Served) -> None:
    """The file of a download is gone when it has been sent."""
    await ask("GET", "/datasets/iris/download", params={"split": "train", "format": "numpy"})

    # The client has it all a moment before the server is done with it.
    async with asyncio.timeout(60):
        while list((served.settings.data_dir / "incoming").iterdir()):
            await asyncio.sleep(0.01)


async def test_statistics(ask: Ask) -> None:
    """Means, spreads and samples by class."""
    found = (await ask("GET", "/datasets/iris/statistics")).json()

    assert found["class_distribution"] == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert found["mean"] == pytest.approx([5.843, 3.057, 3.758, 1.199], abs=1e-3)
    assert len(found["std"]) == 4


async def test_deleting(ask: Ask, client: Client) -> None:
    """An upload goes; what belongs to the installation does not."""
    id = (await upload(client("owner"))).json()["data"]["id"]

    assert (await ask("DELETE", f"/datasets/{id}")).status_code == 204
    assert (await ask("GET", f"/datasets/{id}")).status_code == 404
    assert (await ask("DELETE", "/datasets/iris")).status_code == 403


async def test_what_this_server_has_not(ask: Ask) -> None:
    """A hub is not asked: what is here is answered, else how to bring it; augmentation is refused by name."""
    payload = {"dataset_name": "scikit-learn/iris", "split_mapping": {"train": "train"}}
    assert (await ask("POST", "/datasets/huggingface/import", json=payload)).json()["id"] == "iris"
    missing = await ask("POST", "/datasets/huggingface/import", json={"dataset_name": "fashion_mnist"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (422, "DATASET_MISSING")
    assert "qstore dataset import fashion_mnist" in missing.json()["error"]["details"]["command"]
    unknown = await ask("POST", "/datasets/huggingface/import", json={"dataset_name": "imdb"})
    assert unknown.json()["error"]["code"] == "DATASET_MISSING"
    payload = {"dataset_id": "iris", "transformations": [{"type": "HorizontalFlip", "p": 0.5}]}
    refused = await ask("POST", "/datasets/augmentation/pipeline", json=payload)
    assert (refused.status_code, refused.json()["error"]["details"]["errors"][0]["field"]) == (422, "transformations")


async def test_credentials(served: Served, ask: Ask, client: Client) -> None:
    """`X-API-Key` and `Authorization: Bearer` count, nobody is 401, a stranger sees nothing, health needs none."""
    made = (await client("owner").post("/v1/api-keys", json={"name": "old", "scopes": ["datasets:read"]})).json()[
        "data"
    ]
    mine = (await upload(client("owner"))).json()["data"]["id"]

    assert (await ask("GET", f"/datasets/{mine}", headers={"X-API-Key": made["key"]})).status_code == 200
    assert (await ask("DELETE", f"/datasets/{mine}", headers={"X-API-Key": made["key"]})).status_code == 403
    assert (await ask("GET", "/datasets", headers={"X-Nothing": "1"})).status_code == 401
    assert (await ask("GET", f"/datasets/{mine}", role="stranger")).status_code == 404
    assert (await ask("GET", f"/datasets/{mine}/download", role="stranger")).status_code == 404
    assert mine not in {row["id"] for row in (await ask("GET", "/datasets", role="stranger")).json()}
    assert (await ask("GET", "/health", headers={"X-Nothing": "1"})).status_code == 200
