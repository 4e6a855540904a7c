"""
Mail: one plain-text message to one recipient, handed to the operator's mail server.

The standard library's client in a thread of its own is enough for a few messages a day: it upgrades to TLS, checks the
certificate's name, and is one dependency less than an asynchronous one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import smtplib
import socket
import ssl
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries.threads import Threads
from qstore_appliance.settings import Smtp

#: For one answer of the mail server, and for the whole conversation.
ANSWER_SECONDS = 10.0
TOTAL_SECONDS = 30.0

#: What a mailbox may look like (HTML's rule): nothing in it ends a header or an SMTP command.
MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+|"
                     r"[A-Za-z0-9._-]{1,64}@localhost")  # fmt: skip
MAX_SUBJECT = 200


class Mails:
    def __init__(self, settings: Smtp) -> None:
        self._settings = settings
        self._threads = Threads(4, "mail")

    async def send(self, id: str, recipient: str, subject: str, text: str, moment: datetime) -> None:
        """
        Args:
            id: Of the message; the same one sent twice has the same Message-ID.
            moment: When it was written.

        Raises:
            NotDelivered: The mail server is away, does not offer TLS, or refuses.
        """
        if not self._settings.host:
            raise NotDelivered("This installation has no mail server: its operator has not set smtp.host.")
        message = written(self._settings.sender, id, recipient, subject, text, moment)
        call = _Call(self._settings, message, recipient)
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                await self._threads.call(call.make)
        except TimeoutError as error:
            raise NotDelivered("The mail server took too long.") from error
        finally:
            # A thread that is still in there, whoever has stopped waiting for it, comes out of its socket.
            call.hang_up()


class _Call:
    """One conversation with the mail server, in a thread."""

    def __init__(self, settings: Smtp, message: EmailMessage, recipient: str) -> None:
        self._settings = settings
        self._message = message
        self._recipient = recipient
        self._smtp: smtplib.SMTP | None = None

    def make(self) -> None:
        try:
            self._send()
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise NotDelivered(f"The mail server refuses the recipient ({code}).", final=_is_final(code)) from error
        except smtplib.SMTPAuthenticationError as error:
            raise NotDelivered(f"The mail server refuses the sign-in ({error.smtp_code}).") from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotDelivered("The mail server does not offer what is needed: TLS, or a way to sign in.") from error
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(
                f"The mail server refuses the message ({error.smtp_code}).",
                final=isinstance(error, smtplib.SMTPDataError) and _is_final(error.smtp_code),
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered("The mail server's certificate is not valid for its name, or nobody known has signed it."
                               ) from error  # fmt: skip
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered("The mail server cannot be reached, or broke off.") from error

    def hang_up(self) -> None:
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            with contextlib.suppress(OSError):
                smtp.sock.shutdown(socket.SHUT_RDWR)

    def _send(self) -> None:
        settings = self._settings
        trust = ssl.create_default_context(cafile=settings.authority or None) if settings.tls != "none" else None
        # Without a name of ours smtplib asks DNS for it, which may take longer than all the rest.
        smtp: smtplib.SMTP
        if settings.tls == "implicit":
            smtp = smtplib.SMTP_SSL(local_hostname=socket.gethostname(), timeout=ANSWER_SECONDS, context=trust)
        else:
            smtp = smtplib.SMTP(local_hostname=socket.gethostname(), timeout=ANSWER_SECONDS)
        # What the certificate is compared with; the constructor knows it only where it connects by itself.
        smtp._host = settings.host  # type: ignore[attr-defined]
        self._smtp = smtp
        with smtp:
            smtp.connect(settings.host, settings.port)
            if settings.tls == "starttls":
                smtp.starttls(context=trust)
            if settings.user:
                smtp.login(settings.user, settings.password)
            smtp.send_message(self._message, from_addr=settings.sender, to_addrs=[self._recipient])


def written(sender: str, id: str, recipient: str, subject: str, text: str, moment: datetime) -> EmailMessage:
    """
    The message. A line break in a subject becomes a blank, so that nobody's name can add a header.

    Raises:
        NotDelivered: The recipient is no mailbox.
    """
    if not MAILBOX.fullmatch(recipient):
        raise NotDelivered("The recipient is no mail address.", final=True)
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address("Q-Store", addr_spec=sender)
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = one_line(subject)[:MAX_SUBJECT]
    message["Date"] = moment
    message["Message-ID"] = f"<{id}@{sender.rpartition('@')[2]}>"
    # No out-of-office answers to this (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def one_line(text: str) -> str:
    """Without anything that ends a line or is not printed."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _is_final(code: int) -> bool:
    return 500 <= code < 600
