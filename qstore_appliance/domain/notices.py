"""Notices: what a user is mailed about their own account, so that they hear of it when it was somebody else."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any


class Notice(enum.StrEnum):
    """Events of the outbox."""

    PASSWORD_RESET = "account.password_reset"
    PASSWORD_CHANGED = "account.password_changed"
    SECOND_FACTOR_ADDED = "account.second_factor_added"
    SECOND_FACTOR_REMOVED = "account.second_factor_removed"
    RECOVERY_CODE_USED = "account.recovery_code_used"
    REFRESH_TOKEN_REUSED = "account.refresh_token_reused"
    PROVIDER_LINKED = "account.provider_linked"
    INVITED = "account.invited"


_SUBJECTS = {
    Notice.PASSWORD_RESET: "A new password for Q-Store",
    Notice.PASSWORD_CHANGED: "Your Q-Store password was changed",
    Notice.SECOND_FACTOR_ADDED: "Your Q-Store account asks for a second factor now",
    Notice.SECOND_FACTOR_REMOVED: "Your Q-Store account asks for no second factor any more",
    Notice.RECOVERY_CODE_USED: "A recovery code of your Q-Store account was used",
    Notice.REFRESH_TOKEN_REUSED: "A Q-Store session of yours was ended",
    Notice.PROVIDER_LINKED: "Your Q-Store account can be entered through your provider",
    Notice.INVITED: "An invitation to Q-Store",
}
_TEXTS = {
    Notice.PASSWORD_RESET: (
        "Somebody, presumably you, asked for a new password for this account. This link sets one; it works once, "
        "for {minutes} minutes:\n\n{link}\n\nIf it was not you, do nothing: your password stays as it is."
    ),
    Notice.PASSWORD_CHANGED: (
        "The password of this account was changed. Its other sessions have ended."
    ),
    Notice.SECOND_FACTOR_ADDED: (
        "Signing in to this account takes a code of your authenticator from now on. Keep your recovery codes."
    ),
    Notice.SECOND_FACTOR_REMOVED: "Signing in to this account takes the password alone from now on.",
    Notice.RECOVERY_CODE_USED: "Somebody signed in to this account with a recovery code. {left} are left.",
    Notice.REFRESH_TOKEN_REUSED: (
        "A refresh token of this account was used a second time, from {address}. One of the two who had it was not "
        "meant to have it, so the session has ended."
    ),
    Notice.PROVIDER_LINKED: "This account was entered through {issuer} for the first time, and can be from now on.",
    Notice.INVITED: (
        "{inviter} invites you to {organization}, as {role}. This link accepts; it works once, until {until}:"
        "\n\n{link}\n\nIf you do not know what this is about, do nothing."
    ),
}  # fmt: skip
#: To whom nothing has happened yet.
_OFFERS = frozenset({Notice.PASSWORD_RESET, Notice.INVITED})
_ADVICE = "If this was not you, change your password, end all sessions on your account's page and tell your operator."


def payload(id: str, notice: Notice, moment: datetime, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the outbox keeps. Nothing in it is a secret: administrators and backups hold it too."""
    return {
        "id": id,
        "event": notice.value,
        "created_at": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "data": dict(facts),
    }


def worded(content: Mapping[str, Any], **more: str) -> tuple[str, str]:
    """
    Subject and text of the mail.

    Args:
        more: What only whoever delivers it knows, such as the `link`.
    """
    notice = Notice(content["event"])
    text = _TEXTS[notice].format(**content["data"], **more)
    if notice not in _OFFERS:
        text += f"\n\n{_ADVICE}"
    return _SUBJECTS[notice], f"{text}\n"
