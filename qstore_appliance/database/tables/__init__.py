"""
One file per noun; each row turns into a domain value with `to_domain()`.

`MODULES` is what Tortoise is told about.
"""

MODULES = [
    f"qstore_appliance.database.tables.{noun}"
    for noun in (
        *("accounts", "backends", "circuits", "circuit_jobs", "datasets", "jobs", "models", "costs", "blobs"),
        *("idempotency", "remote_jobs", "sweeps", "outbox", "alerts", "workers", "audit", "sign_in"),
        *("members", "invitations", "roles", "model_metrics"),
    )
]
