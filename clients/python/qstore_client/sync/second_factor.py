# Written by `generate` from `aio/second_factor.py`; not by hand.
"""The second factor of signing in."""

from __future__ import annotations

from qstore_client.sync.http import Http
from qstore_client.types import Enrolment, RecoveryCodes
from qstore_client.types import SecondFactor as Standing

PATH = "/v1/users/me/second-factor"


class SecondFactor:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self) -> Standing:
        """Whether signing in takes a code, and how many recovery codes are left."""
        return self._http.get(Standing, PATH)

    def enrol(self, password: str) -> Enrolment:
        """A secret for an authenticator. It counts once `confirm` has seen a code of it."""
        return self._http.post(Enrolment, PATH, {"password": password})

    def confirm(self, code: str) -> RecoveryCodes:
        """Turn it on with a first code. The recovery codes are answered this once; your other sessions end."""
        return self._http.post(RecoveryCodes, f"{PATH}/confirm", {"code": code})

    def renew_recovery_codes(self, password: str, code: str) -> RecoveryCodes:
        body = {"password": password, "code": code}
        return self._http.post(RecoveryCodes, f"{PATH}/recovery-codes", body)

    def remove(self, password: str, code: str) -> None:
        self._http.ask("POST", f"{PATH}/remove", json={"password": password, "code": code})
