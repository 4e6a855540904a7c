"""Mail through a server that really takes it: over TLS or not at all, and no name can add a header."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries import mails as module
from qstore_appliance.deliveries.mails import MAILBOX, Mails, written
from qstore_appliance.settings import Smtp
from tests.acceptance.processes import free_port
from tests.deliveries.receiving import AUTHORITY, mail_server

# Of the mail server: it does not see that its whole conversation is inside TLS where that is implicit.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def mails(port: int, **settings: Any) -> Mails:
    values = {"host": "localhost", "port": port, "sender": "lab@example.org", "authority": AUTHORITY, **settings}
    return Mails(Smtp(**values))


async def send(sending: Mails, recipient: str = "ada@example.org", subject: str = "A budget") -> None:
    await sending.send("outbox_1", recipient, subject, "Numbers: 80 %.\n", MOMENT)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_over_tls_and_signed_in(tls: str) -> None:
    """A mail arrives, plain text, over TLS and after a sign-in, with an id that is the same at every attempt."""
    with mail_server(tls, password="open sesame") as server:
        for _ in range(2):
            await send(mails(server.port, tls=tls, user="lab", password="open sesame"))

        first, second = server.mails
    assert (first.tls, first.user) == (True, "lab")
    assert (first.sender, first.recipients) == ("lab@example.org", ["ada@example.org"])
    assert first.message["Subject"] == "A budget"
    assert first.message["From"] == "Q-Store <lab@example.org>"
    assert first.message["Message-ID"] == second.message["Message-ID"] == "<outbox_1@example.org>"
    assert first.message["Auto-Submitted"] == "auto-generated"
    assert first.message.get_content_type() == "text/plain"
    assert first.message.get_content().splitlines() == ["Numbers: 80 %."]


async def test_without_tls_on_this_machine() -> None:
    """`none` is plain, for a mail server on this machine."""
    with mail_server("none") as server:
        await send(mails(server.port, tls="none", authority=""))

        assert [mail.tls for mail in server.mails] == [False]


async def test_a_certificate_that_nobody_known_has_signed() -> None:
    """A mail server with an unknown certificate gets neither the password nor the mail."""
    for tls in ("starttls", "implicit"):
        with mail_server(tls, password="open sesame") as server:
            with pytest.raises(NotDelivered, match="certificate"):
                await send(mails(server.port, tls=tls, user="lab", password="open sesame", authority=""))

            assert server.mails == []


async def test_no_tls_no_mail() -> None:
    """A server that does not offer STARTTLS gets nothing, whoever took it out of the conversation."""
    with mail_server("none") as server:
        with pytest.raises(NotDelivered, match="TLS"):
            await send(mails(server.port, tls="starttls"))

        assert server.mails == []


@pytest.mark.parametrize(
    ("recipient", "words", "final"),
    [("a@refused.example", "550", True), ("a@busy.example", "451", False), ("no mailbox", "no mail address", True)],
)
async def test_refusals(recipient: str, words: str, final: bool) -> None:
    """A refusal for good is final, one for now is not; the server's own words are not told."""
    with mail_server() as server:
        with pytest.raises(NotDelivered, match=words) as caught:
            await send(mails(server.port), recipient)

    assert caught.value.final is final
    assert "server7" not in caught.value.reason


async def test_a_wrong_password_is_tried_again() -> None:
    """The operator may mend a wrong password; a letter waits for that."""
    with mail_server(password="open sesame") as server:
        with pytest.raises(NotDelivered, match="sign-in") as caught:
            await send(mails(server.port, user="lab", password="wrong"))

    assert not caught.value.final


async def test_a_mail_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that takes the connection and says nothing is given up, and its thread comes back."""
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.2)
    silent = socket.create_server(("127.0.0.1", 0))
    sending = mails(silent.getsockname()[1])
    before = threading.active_count()

    with pytest.raises(NotDelivered, match="too long"):
        await send(sending)

    async with asyncio.timeout(5):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)
    silent.close()


async def test_nobody_listens() -> None:
    """A mail server that is away is said to be, and so is one that was never named."""
    with pytest.raises(NotDelivered, match="cannot be reached"):
        await send(mails(free_port()))
    with pytest.raises(NotDelivered, match=r"smtp\.host"):
        await send(Mails(Smtp()))


@pytest.mark.parametrize(
    "subject",
    ["Lab\r\nBcc: everybody@example.org", "Lab\nX: y", "Lab\x00\x0b\x0cX", "Lab\u2028Bcc: a@b.example", "é" * 500],
    ids=["header", "line", "controls", "separator", "long"],
)
async def test_subjects_add_no_headers(subject: str) -> None:
    """Whatever stands in a name, the message has the headers that it always has."""
    with mail_server("none") as server:
        await send(mails(server.port, tls="none", authority=""), subject=subject)

        (mail,) = server.mails
    assert mail.recipients == ["ada@example.org"]
    assert {name.lower() for name in mail.message} == {
        *("from", "to", "subject", "date", "message-id", "auto-submitted"),
        *("content-type", "content-transfer-encoding", "mime-version"),
    }
    assert len(mail.message["Subject"]) <= 200


@pytest.mark.parametrize(
    "recipient",
    ["a@b.example\r\nBcc: c@d.example", "a@b.example>", "<a@b.example>", "a@b.example, c@d.example", '"a b"@c.example',
     "a@b.example\r\nDATA", "a b@c.example", "@c.example", "a@", "ä@c.example", "a@-", "a@b..example", ""],
)  # fmt: skip
def test_recipients_that_are_no_mailboxes(recipient: str) -> None:
    """A recipient with anything in it that ends a header or a command is refused before anything is sent."""
    assert not MAILBOX.fullmatch(recipient)
    with pytest.raises(NotDelivered) as caught:
        written("lab@example.org", "outbox_1", recipient, "s", "t", MOMENT)
    assert caught.value.final
