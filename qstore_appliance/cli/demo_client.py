"""What the demo needs of the public API: REST by httpx, the WebSocket by websockets. Any client could do the same."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from qstore_appliance.errors import QStoreError, Unavailable, family

#: A channel that is silent for so long is checked against the job itself.
SILENCE_SECONDS = 5.0
READY_SECONDS = 60.0
ENDED = {"completed", "failed", "cancelled"}


class Client:
    """
    The API at one address.

    Raises:
        QStoreError: From every method, with the code and message that the server answered.
    """

    def __init__(self, address: str, *, verify: bool) -> None:
        self.address = address
        # The first job of an installation waits for the kernels, which take a minute to compile on a small machine.
        self._http = httpx.Client(base_url=address, verify=verify, timeout=300, trust_env=False)
        self._verify = verify
        self._credentials: dict[str, str] = {}

    def close(self) -> None:
        self._http.close()

    def sign_in(self, email: str, password: str) -> None:
        grant = {"grant_type": "password", "email": email, "password": password}
        token = self.post("/v1/auth/token", grant)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._credentials = {"token": token}

    def use_key(self, key: str) -> None:
        self._http.headers["X-API-Key"] = key
        self._credentials = {"api_key": key}

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: Any) -> Any:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                response = self._http.request(method, path, json=body)
            except httpx.HTTPError as error:
                raise Unavailable(f"{method} {path}: the server did not answer ({error}).") from error
            # A replica that still starts says when to come again.
            if response.status_code != 503 or time.monotonic() > deadline:
                break
            time.sleep(min(float(response.headers.get("Retry-After", 1)), 2.0))
        try:
            envelope = response.json()
        except ValueError as error:
            raise Unavailable(f"{method} {path}: {response.status_code} without JSON.") from error
        if not envelope["success"]:
            failed = envelope["error"]
            kind = family().get(failed["code"], QStoreError)
            raise kind(f"{method} {path}: {failed['message']}", details=failed.get("details"))
        return envelope["data"]

    def follow(self, job_id: str) -> Iterator[dict[str, Any]]:
        """
        The job's events as the WebSocket delivers them, until the job has ended.

        A connection that breaks is made again, from the last event seen of each channel.
        """
        last_seen = {"job.progress": 0, "job.metrics": 0}
        for attempt in range(5):
            try:
                yield from self._listen(job_id, last_seen)
                return
            except (ConnectionClosed, OSError) as error:
                if attempt == 4:
                    raise Unavailable(f"The WebSocket broke five times ({error}).") from error
                time.sleep(0.5)

    def _listen(self, job_id: str, last_seen: dict[str, int]) -> Iterator[dict[str, Any]]:
        context = None
        if self.address.startswith("https"):
            context = ssl.create_default_context()
            if not self._verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with connect("ws" + self.address.removeprefix("http") + "/v1/ws", ssl=context, proxy=None) as socket:
            socket.send(json.dumps({"type": "auth", **self._credentials}))
            for channel, seq in last_seen.items():
                wanted = {"type": "subscribe", "channel": channel, "job_id": job_id, "last_seq": seq}
                socket.send(json.dumps(wanted))
            while True:
                try:
                    frame = json.loads(socket.recv(timeout=SILENCE_SECONDS))
                except TimeoutError:
                    if self.get(f"/v1/jobs/{job_id}")["status"] in ENDED:
                        return
                    continue
                if frame["type"] == "error":
                    raise Unavailable(f"WebSocket: {frame['error']['message']}")
                if frame["type"] == "reset" and self.get(f"/v1/jobs/{job_id}")["status"] in ENDED:
                    return
                events = frame["events"] if frame["type"] == "events" else [frame] * (frame["type"] == "event")
                for event in events:
                    last_seen[event["channel"]] = event["seq"]
                    yield event
                    if event["channel"] == "job.progress" and event["data"]["status"] in ENDED:
                        return
