"""Settings: one table of sections, frozen once read from their sources."""

from qstore_appliance.settings.sections import (
    SECTIONS,
    Auth,
    Database,
    Datasets,
    Jobs,
    Limits,
    Oidc,
    Predictions,
    Queue,
    Server,
    Settings,
    Smtp,
    Telemetry,
    Webhooks,
    template,
)
from qstore_appliance.settings.sources import default_data_dir, load, read_secret

__all__ = [
    "SECTIONS",
    "Auth",
    "Database",
    "Datasets",
    "Jobs",
    "Limits",
    "Oidc",
    "Predictions",
    "Queue",
    "Server",
    "Settings",
    "Smtp",
    "Telemetry",
    "Webhooks",
    "default_data_dir",
    "load",
    "read_secret",
    "template",
]
