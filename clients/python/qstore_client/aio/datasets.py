"""Data sets: built in, imported by the operator, uploaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from qstore_client import arrays
from qstore_client.aio.http import Http
from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.pages import Page
from qstore_client.types import Dataset
from qstore_client.uploads import FileLike, Upload

PATH = "/v1/datasets"


class Datasets:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(self, *, limit: int = 20, offset: int = 0, sort: str | None = None) -> Page[Dataset]:
        return await self._http.page(Dataset, PATH, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, sort: str | None = None, page_size: int = 100) -> AsyncIterator[Dataset]:
        return self._http.rows(Dataset, PATH, page_size, sort=sort)

    async def upload(
        self,
        file: FileLike,
        *,
        name: str | None = None,
        label: str | None = None,
        filename: str | None = None,
        idempotency_key: str | None = None,
    ) -> Dataset:
        """
        A CSV file with a header line, or an NPZ file with arrays `x` and `y`.

        Args:
            file: Its path, what it holds, or an open file.
            name: Of the data set; the file's, if it is not given.
            label: The column of a CSV to learn; the last, if it is not given.
            filename: Where the file has no name; its ending says what it is.

        Raises:
            ValidationFailed: What is wrong in it, and where.
        """
        with Upload(file, filename) as upload:
            answer = await self._http.ask(
                "POST", PATH, file=upload, data=sent(name=name, label=label), key=idempotency_key
            )
        return decode(Dataset, answer.data)

    async def upload_arrays(self, x: Any, y: Any, *, name: str, idempotency_key: str | None = None) -> Dataset:
        """Arrays: `x` with one row for each sample, `y` with its label, or with a number to be learned."""
        packed = arrays.npz(x, y)
        return await self.upload(packed, name=name, filename="arrays.npz", idempotency_key=idempotency_key)

    async def upload_frame(
        self, frame: Any, *, name: str, label: str | None = None, idempotency_key: str | None = None
    ) -> Dataset:
        """A data frame of pandas; `label` is the column to learn, the last if it is not given."""
        written = arrays.csv(frame)
        return await self.upload(written, name=name, label=label, filename="frame.csv", idempotency_key=idempotency_key)

    async def get(self, dataset_id: str) -> Dataset:
        """Of a built-in or imported one the name is the id."""
        return await self._http.get(Dataset, at(PATH, dataset_id))

    async def statistics(self, dataset_id: str) -> dict[str, Any]:
        """Samples by class, and the range, mean and spread of each feature."""
        return dict((await self._http.ask("GET", at(PATH, dataset_id, "statistics"))).data)

    async def delete(self, dataset_id: str) -> None:
        """Models that learned from it stay."""
        await self._http.ask("DELETE", at(PATH, dataset_id))
