"""Your organization."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType

from qstore_client.aio.http import Http
from qstore_client.bodies import sent
from qstore_client.decoding import decode
from qstore_client.types import Member, Organization, OwnOrganization


class Organizations:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def get(self) -> Organization:
        return await self._http.get(Organization, "/v1/organization")

    async def update(
        self,
        *,
        name: str | None = None,
        max_concurrent_jobs: int | None = None,
        allowed_backends: Sequence[str] | EllipsisType | None = ...,
        enable_hardware: bool | None = None,
        max_storage_bytes: int | EllipsisType | None = ...,
    ) -> Organization:
        """
        Change it; what is not given stays.

        Args:
            allowed_backends: None allows every backend that is installed.
            max_storage_bytes: None is what the installation has; the operator alone allows more than there is now.
        """
        settings = sent(max_concurrent_jobs=max_concurrent_jobs, enable_hardware=enable_hardware)
        if allowed_backends is not ...:
            settings["allowed_backends"] = None if allowed_backends is None else list(allowed_backends)
        if max_storage_bytes is not ...:
            settings["max_storage_bytes"] = max_storage_bytes
        body = sent(name=name, settings=settings or None)
        return decode(Organization, (await self._http.ask("PATCH", "/v1/organization", json=body)).data)

    async def mine(self) -> list[OwnOrganization]:
        """All that you belong to, and which of them you act in."""
        return await self._http.get(list[OwnOrganization], "/v1/organizations")

    async def transfer(self, user_id: str, *, idempotency_key: str | None = None) -> Member:
        """Make another member its owner. You are an administrator afterwards."""
        body = {"user_id": user_id}
        return await self._http.post(Member, "/v1/organization/transfer", body, key=idempotency_key)
