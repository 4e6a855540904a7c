# Written by `generate` from `aio/invitations.py`; not by hand.
"""Invitations to your organization."""

from __future__ import annotations

from collections.abc import Iterator

from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import Accepted, Invitation, Offer

PATH = "/v1/invitations"


class Invitations:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, email: str, role: str, *, idempotency_key: str | None = None) -> Invitation:
        """`link` of the answer is shown this once; it is mailed too, where the server has a mail server."""
        return self._http.post(Invitation, PATH, {"email": email, "role": role}, key=idempotency_key)

    def list(
        self, *, status: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[Invitation]:
        return self._http.page(Invitation, PATH, status=status, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, status: str | None = None, sort: str | None = None, page_size: int = 100
    ) -> Iterator[Invitation]:
        return self._http.rows(Invitation, PATH, page_size, status=status, sort=sort)

    def revoke(self, invitation_id: str) -> None:
        self._http.ask("DELETE", at(PATH, invitation_id))

    def offer(self, token: str) -> Offer:
        """
        What a link offers.

        Args:
            token: What stands behind the `#` of the link.
        """
        answered = self._http.ask("POST", f"{PATH}/offer", json={"token": token}, signed_in=False)
        return decode(Offer, answered.data)

    def accept(self, token: str, password: str, *, name: str | None = None, code: str | None = None) -> Accepted:
        """
        Become a member; then sign in.

        Args:
            password: Of the new account, or of the one that the address has already.
            code: Of that account's second factor.
        """
        body = sent(token=token, password=password, name=name, code=code)
        answered = self._http.ask("POST", f"{PATH}/accept", json=body, signed_in=False)
        return decode(Accepted, answered.data)

    def join(self, token: str, *, idempotency_key: str | None = None) -> Accepted:
        """Become a member as who is signed in; then `auth.switch`."""
        return self._http.post(Accepted, f"{PATH}/join", {"token": token}, key=idempotency_key)
