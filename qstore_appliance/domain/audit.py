"""
The audit log: who did what, when and from where; chained, so that no entry can be changed, moved or taken out unnoticed.

Each organization has a chain of its own, and the installation one for what belongs to none. An entry's hash covers the
hash before it, its number in the chain and everything that it says.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import UTC, datetime
from typing import Any

import msgspec

#: The chain of what belongs to no organization: sign-ins of nobody, the operator's acts.
INSTALLATION = "installation"
#: What stands before the first entry of a chain.
BEGINNING = "0" * 64
#: Bytes of an entry's details.
MAX_DETAILS = 8_000

#: Every act there is, with the sentence that documents it.
ACTIONS: dict[str, str] = {
    "installation.set_up": "The first owner was made.",
    "organization.created": "An organization was made.",
    "user.created": "A user was made.",
    "user.disabled": "Somebody was kept out of an organization, or on the host of the installation.",
    "user.enabled": "Somebody who was kept out was let in again.",
    "user.role_changed": "Somebody was given another role.",
    "user.removed": "Somebody was removed from an organization, or left it.",
    "organization.updated": "An organization's name or settings were changed.",
    "organization.transferred": "An organization was given to another owner.",
    "user.password_reset": "A user was given a new password on the host.",
    "user.password_changed": "Somebody changed their password, with the one before or a mailed link.",
    "role.created": "A role was made.",
    "role.updated": "What a role may do was changed.",
    "role.deleted": "A role was deleted.",
    "invitation.created": "Somebody was invited.",
    "invitation.revoked": "An invitation was taken back.",
    "invitation.accepted": "Somebody accepted an invitation, and is a member now.",
    "second_factor.added": "Somebody signs in with a code from now on.",
    "second_factor.removed": "Somebody signs in without a code from now on.",
    "second_factor.codes_renewed": "Somebody has new recovery codes.",
    "identity.linked": "A person at the provider was taken for a user for the first time.",
    "session.started": "Somebody signed in.",
    "session.refused": "A sign-in failed.",
    "session.ended": "Somebody signed out, or a session was ended from another.",
    "session.others_ended": "Somebody ended all of their sessions but one.",
    "session.reused": "A refresh token came back after its use: the whole session was ended.",
    "api_key.created": "An API key was made.",
    "api_key.revoked": "An API key was revoked.",
    "api_key.new_address": "An API key was used from an address for the first time.",
    "budget.updated": "A budget's limit or alerts were changed.",
    "job.topped_up": "A job's budget limit was raised.",
    "model.imported": "A model was taken in from an archive, with whose signature.",
    "maintenance.planned": "A backend's maintenance window was set.",
    "maintenance.cleared": "A backend's maintenance windows were forgotten.",
    "webhook_secret.renewed": "Webhooks are signed with a new secret.",
    "outbox.retried": "A message was sent again.",
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        seq: Its number in the chain, from 1.
        actor: The e-mail address of who did it; `host` for the command line of the machine itself.
        address: Where the request came from; empty for the host.
        subject: The id, or name, of what it was done to.
        details: JSON, as it was written.
    """

    id: str
    chain: str
    seq: int
    at: datetime
    action: str
    actor: str
    user_id: str
    key_id: str
    address: str
    subject: str
    details: str
    previous: str
    hash: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None is "any"; `action` may be a family such as `api_key`; `text` is looked for in actor, subject and details."""

    action: str | None = None
    actor: str | None = None
    subject: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


class ChainState(msgspec.Struct, frozen=True, kw_only=True):
    """
    What verifying a chain has found.

    Attributes:
        head: The hash of its last entry; written down elsewhere, it proves later that nothing was rewritten since.
        fault: What is wrong, None where nothing is; `fault_seq` is the first entry that is.
    """

    chain: str
    entries: int
    head: str
    fault: str | None = None
    fault_seq: int | None = None


def details_of(values: dict[str, Any]) -> str:
    """JSON in the one spelling that is hashed; what is too long to keep is replaced by its size."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text if len(text) <= MAX_DETAILS else json.dumps({"omitted_bytes": len(text)})


def hash_of(entry: Entry) -> str:
    """Over everything but the hash itself, as a JSON list: no two entries look alike."""
    moment = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    said = [
        *(entry.previous, entry.id, entry.chain, entry.seq, moment, entry.action, entry.actor, entry.user_id),
        *(entry.key_id, entry.address, entry.subject, entry.details),
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()


COLUMNS = (
    "seq",
    "time",
    "action",
    "actor",
    "user_id",
    "key_id",
    "address",
    "subject",
    "details",
    "id",
    "previous",
    "hash",
)


def as_row(entry: Entry) -> dict[str, Any]:
    """An entry as it is exported."""
    return {
        "seq": entry.seq,
        "time": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": entry.action,
        "actor": entry.actor,
        "user_id": entry.user_id,
        "key_id": entry.key_id,
        "address": entry.address,
        "subject": entry.subject,
        "details": json.loads(entry.details),
        "id": entry.id,
        "previous": entry.previous,
        "hash": entry.hash,
    }


def as_json_line(entry: Entry) -> str:
    return json.dumps(as_row(entry), ensure_ascii=True) + "\n"


def as_csv_line(entry: Entry) -> str:
    row = as_row(entry) | {"details": entry.details}
    return csv_line([str(row[name]) for name in COLUMNS])


def csv_line(cells: list[str]) -> str:
    """One line; a cell that a spreadsheet would compute gets an apostrophe in front, which makes it text."""
    written = io.StringIO()
    csv.writer(written).writerow([f"'{c}" if c[:1] in ("=", "+", "-", "@", "\t", "\r") else c for c in cells])
    return written.getvalue()
