"""
`qstore demo`: the main job end to end, over the public API alone.

A server of its own, an owner, a circuit, a training job followed live, a deployment, predictions of images that the
model has not seen.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import time
from collections.abc import Iterator
from typing import Any

from qstore_appliance.cli import control
from qstore_appliance.cli.demo_server import serving
from qstore_appliance.cli.serve import make_data_dir, own_host, refuse_if_in_use
from qstore_appliance.errors import QStoreError, Refused, Unavailable
from qstore_appliance.settings import Settings

EMAIL = "demo@qstore.local"
ORGANIZATION = "Demo"
#: Held-out images that are shown.
SHOWN = 8


def run(settings: Settings, arguments: dict[str, Any]) -> int:
    """
    Show the main job. Answers 0 when everything worked.

    Raises:
        DataDirectoryInUse, Refused: Before anything was touched.
        QStoreError: What went wrong on the way; the server is stopped.
    """
    refuse_if_in_use(settings)
    _refuse_if_port_is_taken(settings)
    make_data_dir(settings)

    from qstore_appliance.cli.demo_display import Display

    display = Display()
    began = time.monotonic()
    display.say(f"Starting Q-Store on {settings.address} (data directory {settings.data_dir}) …")
    with _terminable(), serving(settings, arguments.get("config")) as server, _signed_in(settings, display) as client:
        _tell(client, display, arguments, began)
        if arguments["exit"]:
            return 0
        display.say(f"\nThe server goes on: {settings.address}. Ctrl-C stops it.", style="bold")
        with contextlib.suppress(KeyboardInterrupt):
            raise Unavailable(f"The server ended (exit code {server.wait()}).")
    return 0


def _tell(client: Any, display: Any, arguments: dict[str, Any], began: float) -> None:
    from qstore_appliance.engine import recipe

    circuit = client.post("/v1/circuits", recipe.circuit())
    display.say(
        f"Stored the circuit “{recipe.NAME}”: {circuit['n_qubits']} qubits, {circuit['gate_count']} gates, "
        f"depth {circuit['depth']}."
    )
    config = recipe.config() if arguments["epochs"] is None else recipe.config(epochs=arguments["epochs"])
    submitted = client.post("/v1/jobs", {"circuit_id": circuit["id"], "config": config})
    job_id = submitted["job_id"]
    display.say(f"Training on 1,797 handwritten digits. Watch it: {client.address}/app/jobs/{job_id}\n")
    with display.training() as view:
        for event in client.follow(job_id):
            view.show(event)
    job = client.get(f"/v1/jobs/{job_id}")
    if job["status"] != "completed":
        raise QStoreError(f"The training job ended {job['status']}: {job['reason']}")

    model = client.get(f"/v1/models/{job['model_id']}")
    client.post(f"/v1/models/{model['id']}/deploy", {"replicas": 1})
    examples = model["inputs"]["examples"][:SHOWN]
    images = [example["input"] for example in examples]
    answered = client.post(f"/v1/models/{model['id']}/predict", {"inputs": images})
    display.say("\nThe deployed model answers, for images that neither training nor validation saw:\n")
    display.answers(images, [str(example["label"]) for example in examples], answered["predictions"])

    metrics = job["metrics"]
    display.say(f"\nTest accuracy         {metrics['test_accuracy']:.3f}", style="bold")
    display.say(
        f"Logistic regression   {metrics['baseline']['logistic_regression']:.3f}   (on the same "
        f"{metrics['baseline']['features']} features)"
    )
    display.say(f"Time                  {_duration(job):.1f} s of training, {time.monotonic() - began:.1f} s in all")
    display.say(f"Dashboard             {client.address}/app/jobs/{job_id}")


def _duration(job: dict[str, Any]) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(job["completed_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()


@contextlib.contextmanager
def _signed_in(settings: Settings, display: Any) -> Iterator[Any]:
    """
    A client that is signed in: as the new owner of a new data directory, else by a key of its operator for this hour.
    """
    from qstore_appliance.cli.demo_client import Client

    scheme = "https" if settings.server.tls_certificate else "http"
    host = own_host(settings)
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    # The certificate is made out to a name; here the address is our own.
    client = Client(address, verify=not settings.server.tls_certificate)
    password = secrets.token_urlsafe(12)
    owner = {"email": EMAIL, "password": password, "organization": ORGANIZATION, "name": "Demo"}
    key_id = None
    try:
        try:
            list(control.call(settings, ("init",), owner))
        except Refused:
            key = {"name": "demo", "scopes": None, "environment": "dev", "rate_limit": None, "hours": 1.0}
            (made,) = control.call(settings, ("key", "create"), {"acting": None, **key})
            key_id = made["id"]
            client.use_key(made["key"])
            display.say(
                "This data directory has its users already. Forgot the password? "
                f"qstore user reset-password --data-dir {settings.data_dir} --email …"
            )
        else:
            client.sign_in(EMAIL, password)
            display.say(f"Sign in at {address}/app with {EMAIL} and the password {password}", style="bold")
        yield client
    finally:
        client.close()
        if key_id is not None:
            with contextlib.suppress(QStoreError, control.NoServer):
                list(control.call(settings, ("key", "revoke"), {"acting": None, "id": key_id}))


def _refuse_if_port_is_taken(settings: Settings) -> None:
    import socket

    host = own_host(settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, settings.server.port))
        except OSError as error:
            raise Refused(
                f"Port {settings.server.port} on {host} cannot be used: {error.strerror}. "
                f"Choose another: qstore demo --port {settings.server.port + 1}"
            ) from error


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM end the demo as Ctrl-C does: with its server."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
