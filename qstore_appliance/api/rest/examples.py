"""
An example for everything in `/openapi.json`: written from its schema, with values that such things really have.

A field's value comes from `VALUES` by its name, else from its type; a whole body from `BODIES`. The tests hold every
example against the type that it is an example of, so a new route has one from its first day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstore_appliance.api.registry import Endpoint

_KEY = "01k9xw2f7qe8mbz3v5n4c6t0rd"
_TIME = "2026-03-14T09:26:53Z"
_GATES = [
    {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
    {"type": "RY", "targets": [1], "parameters": {"theta": "x_1"}},
    {"type": "CNOT", "targets": [0, 1]},
    {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
]
_CONFIG = {
    "backend": "auto",
    "epochs": 30,
    "batch_size": 32,
    "learning_rate": 0.1,
    "optimizer": "adam",
    "seed": 0,
    "dataset": {"type": "iris", "features": {"method": "pca", "count": 2, "scale": "angle"}},
}
_ALERTS = [{"threshold": 75, "action": "email", "recipients": ["lab@example.org"]}]

#: By the name of its draft.
BODIES: dict[str, dict[str, Any]] = {
    "PasswordGrant": {"grant_type": "password", "email": "ada@example.org", "password": "a phrase of your own"},
    "RefreshGrant": {"grant_type": "refresh_token", "refresh_token": "qsr_3f9c…"},
    "ProfilePatch": {"name": "Ada Lovelace", "preferences": {"default_backend": "native"}},
    "MemberPatch": {"role": "admin"},
    "RoleDraft": {
        "name": "night-shift",
        "description": "Watches jobs and stops them.",
        "permissions": ["jobs:read", "jobs:cancel", "models:*"],
    },
    "RolePatch": {"permissions": ["jobs:read", "jobs:cancel"]},
    "InvitationDraft": {"email": "grace@example.org", "role": "developer"},
    "LinkDraft": {"token": f"invite_{_KEY}.3q2-7wX…"},
    "AcceptDraft": {"token": f"invite_{_KEY}.3q2-7wX…", "name": "Grace Hopper", "password": "a phrase of your own"},
    "OrganizationPatch": {
        "name": "Acme Quantum Labs",
        "settings": {"max_concurrent_jobs": 10, "allowed_backends": ["native", "qsim"], "enable_hardware": False},
    },
    "SwitchDraft": {"organization_id": f"org_{_KEY}"},
    "TransferDraft": {"user_id": f"user_{_KEY}"},
    "ApiKeyDraft": {"name": "Notebook", "scopes": ["circuits:*", "jobs:submit"], "rate_limit": 1000},
    "CircuitDraft": {"name": "Two moons", "n_qubits": 2, "gates": _GATES, "metadata": {"tags": ["classifier"]}},
    "CircuitPatch": {"name": "Two moons, renamed", "metadata": {"tags": ["classifier", "production"]}},
    "JobDraft": {"circuit_id": f"circuit_{_KEY}", "config": _CONFIG, "priority": "normal", "budget_limit": 50.0},
    "ContinueDraft": {"epochs": 10},
    "TopUpDraft": {"budget_limit": 100.0},
    "SweepDraft": {"circuit_id": f"circuit_{_KEY}", "config": {**_CONFIG, "learning_rate": [0.01, 0.03, 0.1]}},
    "DeploymentDraft": {"backend": "native", "replicas": 1},
    "RolloutDraft": {"canary": {"model_id": f"model_{_KEY}", "share": 0.1}},
    "PredictDraft": {"inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], "options": {"shots": 1000}},
    "BudgetDraft": {"monthly_limit": 5000.0, "alerts": _ALERTS},
    "GraphQLDraft": {"query": "query($n: Int) { jobs(limit: $n) { id status } }", "variables": {"n": 5}},
    "CircuitJobDraft": {
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "shots": 100,
        "input": {"qubits": 2, "circuit": [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]},
    },
}

#: By the name of the field; a field whose schema does not take the value is written from its type.
VALUES: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.…", "refresh_token": "qsr_3f9c…", "token_type": "Bearer", "expires_in": 3600,
    "email": "ada@example.org", "role": "developer", "operator": False, "plan": "standard", "members": 12,
    "scopes": ["circuits:read", "jobs:submit"], "preferences": {"default_backend": "native"},
    "key": "qsk_live_***", "prefix": "qsk_live_3f9c", "environment": "live", "rate_limit": 1000,
    "organization_id": f"org_{_KEY}", "user_id": f"user_{_KEY}", "circuit_id": f"circuit_{_KEY}", "job_id": f"job_{_KEY}",
    "model_id": f"model_{_KEY}", "deployment_id": f"deploy_{_KEY}", "training_job_id": f"job_{_KEY}",
    "description": "Two features, one layer", "n_qubits": 2, "depth": 3, "gate_count": 4, "tags": ["classifier"],
    "circuit_definition": {"format": "unified", "gates": _GATES}, "metadata": {"tags": ["classifier"]},
    "parameters": {"theta": {"count": 1, "initial_values": [0.1]}},
    "n_samples": 150, "n_features": 4, "classes": ["setosa", "versicolor", "virginica"], "digest": None, "source": "builtin",
    "dataset": "iris", "config": _CONFIG, "backend": "native", "auto_backend": "native", "backend_used": "native",
    "backend_reason": "The fastest that can: 2 qubits, exact gradients.", "priority": "normal", "queue_position": 0,
    "current_epoch": 12, "total_epochs": 30, "percentage": 40, "current_loss": 0.234, "best_loss": 0.198,
    "eta_seconds": 1.8, "accuracy": 0.93, "epochs_completed": 12, "estimated_cost": 0.0, "cost_so_far": 0.0,
    "cost_incurred": 0.0, "budget_limit": 50.0, "reason": None, "error_code": None, "project": "moons",
    "circuits_executed": 14400, "total_shots": 0, "cpu_seconds": 3.2, "gpu_hours": 0.0, "seq": 37,
    "continued_from": None, "replay_of": None, "sweep_id": None, "cancel_requested": False, "pause_requested": False,
    "metrics": {"training_accuracy": 0.95, "validation_accuracy": 0.93, "test_accuracy": 0.93},
    "level": "INFO", "message": "Epoch 12/30 - loss: 0.234", "artifact_url": f"sha256:{'3f9c' * 16}", "size_mb": 0.0124,
    "endpoint": f"http://127.0.0.1:8000/v1/models/model_{_KEY}/predict", "deployment": None, "capped": False,
    "replicas": 1, "label": "setosa", "confidence": 0.97, "class": 0, "probabilities": [0.97, 0.02, 0.01],
    "window": "3d", "days": ["2026-03-12", "2026-03-13", "2026-03-14"], "requests_per_day": [120, 145, 190],
    "cost_per_day": [1.2, 1.45, 1.9], "requests": 455, "inputs": 1820, "p50_latency_ms": 1.6, "p95_latency_ms": 2.4,
    "p99_latency_ms": 5.1, "error_rate": 0.002,
    "inference_time_ms": 1.9, "uptime": 0.998, "queue_depth": 0, "avg_latency_ms": 0.4, "threshold": 75,
    "action": "email", "monthly_limit": 5000.0, "current_spend": 1234.56, "reserved": 12.5, "remaining": 3765.44,
    "percentage_used": 24.69, "projected_monthly_spend": 2469.12, "total_cost": 456.78, "version": 1,
    "name": "Two moons", "type": "simulator", "provider": "qstore", "host": "lab-1", "pid": 4711, "kind": "server",
    "state": "ready", "slots": 1, "cores": 8, "memory_bytes": 33554432000, "gpus": 0, "jobs": [f"job_{_KEY}"],
    "supported_gates": ["H", "CNOT", "RX", "RY", "RZ", "CZ"], "max_qubits": 30, "supports_shots": True,
    "supports_exact": True, "available": True, "supports_noise": ["readout"], "noise_models": [], "availability": 0.998,
    "secret": "whsec_3f9c…", "recipient": "lab@example.org", "channel": "email", "low": 0.8, "expected": 1.2, "high": 2.4,
    "date": "2026-03-14", "circuits": 6500, "shots": 650000, "backend_breakdown": {"qsim": 20.0, "native": 3.45},
    "breakdown_by_backend": {"qsim": 380.0, "native": 76.78}, "openapi": "3.1.0",
    "data": {"jobs": [{"id": f"job_{_KEY}", "status": "RUNNING"}]}, "errors": None,
}  # fmt: skip

#: What the ids of a tag's own things begin with.
PREFIXES = {
    "users": "user", "organization": "org", "invitations": "invite", "api-keys": "key", "circuits": "circuit", "datasets": "dataset",
    "workers": "worker", "api_keys": "key", "jobs": "job", "sweeps": "sweep", "models": "model", "deployments": "deploy", "outbox": "outbox", "alerts": "outbox",
}  # fmt: skip


class Examples:
    """
    Args:
        schemas: `components.schemas` of the document.
    """

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def body(self, draft: str) -> Any:
        return BODIES[draft] if draft in BODIES else self.of({"$ref": f"#/components/schemas/{draft}"}, draft)

    def answer(self, endpoint: Endpoint, schema: Mapping[str, Any]) -> Any:
        return self.of(schema, "", PREFIXES.get(endpoint.tag, endpoint.tag))

    def of(self, schema: Mapping[str, Any], name: str, owner: str = "") -> Any:
        """A value that fits a schema."""
        schema = self._followed(schema)
        if name == "id" and owner and schema.get("type") == "string":
            return "backend_native_001" if owner == "backends" else f"{owner}_{_KEY}"
        if name in VALUES and self._fits(VALUES[name], schema):
            return VALUES[name]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        for several in ("anyOf", "oneOf"):
            if several in schema:
                # What may be null is null: which of the others it is, its name did not say.
                kinds = [self._followed(kind) for kind in schema[several]]
                return None if any(kind.get("type") == "null" for kind in kinds) else self.of(kinds[0], name, owner)
        return self._of_type(schema, name, owner)

    def _of_type(self, schema: Mapping[str, Any], name: str, owner: str) -> Any:
        kind = schema.get("type")
        if kind == "object":
            wanted = schema.get("required", []) if "additionalProperties" in schema else schema.get("properties", {})
            return {
                one: self.of(schema["properties"][one], one, owner) for one in wanted if one in schema["properties"]
            }
        if kind == "array":
            return [self.of(schema["items"], name, owner)] if schema.get("items") else []
        if kind in ("integer", "number"):
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            return least + 1 if kind == "integer" else float(least)
        if kind == "string":
            text = {"date-time": _TIME, "date": _TIME[:10]}.get(
                schema.get("format", ""), name.replace("_", " ") or "text"
            )
            return text if len(text) >= schema.get("minLength", 0) else text.ljust(schema["minLength"], "x")
        return {"boolean": False, "null": None}.get(str(kind), {})

    def _followed(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        schema = self._followed(schema)
        if "enum" in schema or "const" in schema:
            return value in schema.get("enum", [schema.get("const")])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return any(self._fits(value, kind) for kind in schema[several])
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
        kind = "null" if value is None else kinds[type(value)]
        if "type" not in schema:
            return True
        if kind == "object":
            return schema["type"] == "object" and "properties" not in schema
        if kind == "array":
            return schema["type"] == "array" and all(self._fits(one, schema.get("items", {})) for one in value)
        return schema["type"] in ((kind, "number") if kind == "integer" else (kind,)) and "format" not in schema
