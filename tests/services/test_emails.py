"""Letters as mail, through a mail server that really takes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from qstore_appliance.deliveries.mails import Mails
from qstore_appliance.domain.notices import Notice, payload
from qstore_appliance.domain.outbox import Channel, Letter, LetterStatus
from qstore_appliance.services.emails import Emails
from qstore_appliance.settings import Smtp
from tests.deliveries.receiving import mail_server

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def letter(notice: Notice, **facts: Any) -> Letter:
    return Letter(
        id="outbox_1",
        organization_id="org_1",
        kind=Channel.EMAIL,
        destination="grace@example.org",
        event=notice.value,
        payload=payload("outbox_1", notice, NOW, facts),
        status=LetterStatus.PENDING,
        attempts=1,
        next_attempt_at=NOW,
        last_error=None,
        created_at=NOW,
        delivered_at=None,
    )


async def mailed(one: Letter) -> tuple[str, str]:
    """Subject and text as they arrive."""
    with mail_server("none") as server:
        sending = Mails(Smtp(host="localhost", port=server.port, tls="none", sender="lab@example.org"))
        links = {
            "reset": lambda id: f"https://lab.example/r#{id}",
            "invitation": lambda id: f"https://lab.example/i#{id}",
        }
        await Emails(sending, "https://lab.example", links).deliver(one)
        (mail,) = server.mails
    return mail.message["Subject"], mail.message.get_content()


async def test_an_invitation() -> None:
    """It says who invites to what, and has the link; a name cannot add lines, braces or a link of its own making."""
    subject, text = await mailed(
        letter(
            Notice.INVITED,
            invitation="invite_1",
            inviter="ada@example.org",
            organization="Lab {link}\r\n\r\nhttps://evil.example",
            role="developer",
            until="2026-03-11 05:06 UTC",
        )
    )

    assert subject == "An invitation to Q-Store"
    lines = text.splitlines()
    assert lines[0].startswith("ada@example.org invites you to Lab {link}")
    assert "https://lab.example/i#invite_1" in lines
    assert not any(line.startswith("https://evil.example") for line in lines)
    assert "change your password" not in text


async def test_a_reset_link_and_a_warning() -> None:
    """A wish for a link has it and no advice; what has happened to an account has advice and no link."""
    _, wish = await mailed(letter(Notice.PASSWORD_RESET, reset="reset_1", minutes=30))
    _, warning = await mailed(letter(Notice.PASSWORD_CHANGED))

    assert "https://lab.example/r#reset_1" in wish.splitlines()
    assert "change your password" not in wish
    assert "change your password" in warning
