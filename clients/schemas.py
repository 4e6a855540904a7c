"""
What the server takes and answers, for the generators of the clients: its own description of itself, with the names that
the types have in every client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.rest.openapi import REF, document
from qstore_appliance.domain.events import CHANNELS

#: Names that would say nothing without their route. All others lose their `Answer`.
NAMES = {
    "Alert": "BudgetAlert",
    "AlertDraft": "BudgetAlertDraft",
    "Answer": "Prediction",
    "Channel": "AlertChannel",
    "Cost": "BackendCost",
    "DayAnswer": "UsageDay",
    "DeployAnswer": "DeploymentStarted",
    "EntryAnswer": "AuditEntry",
    "IntervalAnswer": "Interval",
    "KeyAnswer": "ApiKey",
    "KeyOfUser": "MaskedKey",
    "LetterAnswer": "Letter",
    "Line": "LogLine",
    "ModelRow": "ModelSummary",
    "PredictionAnswer": "Predictions",
    "ProgressAnswer": "Progress",
    "QueueAnswer": "BackendQueue",
    "SecretAnswer": "WebhookSecret",
    "SentAnswer": "SentLetter",
    "StateAnswer": "JobState",
    "Status": "JobStatus",
    "StatusAnswer": "BackendHealth",
    "SubmittedAnswer": "Submitted",
    "TodayAnswer": "BackendToday",
    "VerifyAnswer": "AuditVerification",
    "WindowAnswer": "MaintenanceWindow",
    "qstore_appliance__domain__circuit_jobs__NoiseDraft": "IonQNoiseDraft",
    "qstore_appliance__domain__configs__NoiseDraft": "NoiseDraft",
}
#: Of the document's own machinery, or of another protocol.
LEFT_OUT = {"CircuitJobDraft", "Error", "GraphQLRefusal", "IonQError", "IonQNoiseDraft", "Meta"}

Schema = Mapping[str, Any]


def schemas() -> dict[str, Schema]:
    """Every type of the clients, by its name there, in the order of their names."""
    found = dict(document(endpoints(), "http://127.0.0.1:8000")["components"]["schemas"])
    _, told = msgspec.json.schema_components([one.shape for one in CHANNELS.values()], ref_template=REF)
    for channel in CHANNELS.values():
        fields = told[channel.shape.__name__]["properties"]
        fields["timestamp"] = {"type": "string", "format": "date-time"}
        # The number with which a stream goes on.
        fields["seq"] = {"type": "integer", "default": 0}
    clash = {name for name in told if name in found and told[name] != found[name]}
    assert not clash, f"events and answers that share a name: {clash}"
    found |= told
    named = {name_of(name): schema for name, schema in found.items()}
    assert len(named) == len(found), "two schemas have the same name here: give one another in NAMES"
    return {name: schema for name, schema in sorted(named.items()) if name not in LEFT_OUT}


def name_of(name: str) -> str:
    return NAMES.get(name, name.removesuffix("Answer"))


def referred(schema: Schema) -> str:
    """The name of the type that a schema refers to."""
    return name_of(str(schema["$ref"]).rpartition("/")[2])


def bodies() -> set[str]:
    """The names of what requests are made of; the rest is answered."""
    described = document(endpoints(), "http://127.0.0.1:8000")
    found: set[str] = set()
    waiting: list[Any] = [one.get("requestBody") for path in described["paths"].values() for one in path.values()]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            reference = part.get("$ref")
            if isinstance(reference, str) and (name := reference.rpartition("/")[2]) not in found:
                found.add(name)
                waiting.append(described["components"]["schemas"][name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return {name_of(name) for name in found}
