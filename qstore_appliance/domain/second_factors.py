"""Second factors: the codes of an authenticator (RFC 6238), and recovery codes for the day on which it is lost."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import StringConstraints

from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.sessions import Code

_Current = Annotated[str, StringConstraints(max_length=256)]


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """What of it may be shown: never the secret."""

    enabled: bool
    since: datetime | None
    recovery_codes_left: int


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """Shown once. `uri` is what authenticators read; `qr` the same as an SVG picture."""

    secret: str
    uri: str
    qr: str


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Each works once, in place of a code; shown once."""

    recovery_codes: list[str]


class EnrolmentDraft(Draft):
    password: _Current


class ConfirmationDraft(Draft):
    code: Code


class RemovalDraft(Draft):
    password: _Current
    code: Code
