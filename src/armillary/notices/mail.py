"""Tells by mail, through the server that the operator named."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate

from armillary.base.errors import Unavailable
from armillary.notices.model import Delivery

Letter = Callable[[Delivery], tuple[str, str]]
"""Subject and text, in the language of who reads it."""


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail goes, and in whose name. `password` is asked for at each letter: it may be changed meanwhile."""

    host: str
    sender: str
    port: int = 25
    starttls: bool = False
    user: str = ""
    password: Callable[[], str] = str
    tls: ssl.SSLContext | None = None
    seconds: float = 30


class Mail:
    """Sends one delivery. It has arrived when the server has taken it."""

    def __init__(self, *, server: MailServer, letter: Letter) -> None:
        self._server = server
        self._letter = letter

    def __call__(self, delivery: Delivery) -> None:
        """Raise Unavailable when the server did not take it."""
        server = self._server
        try:
            message = compose(delivery, self._letter(delivery), sender=server.sender)
            with smtplib.SMTP(server.host, server.port, timeout=server.seconds) as smtp:
                if server.starttls:
                    smtp.starttls(context=server.tls or ssl.create_default_context())
                if server.user:
                    smtp.login(server.user, server.password())
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise Unavailable(
                f"the mail server did not take it: {str(error)[:500]}", code="not_told"
            ) from error


def compose(delivery: Delivery, letter: tuple[str, str], *, sender: str) -> EmailMessage:
    """Return the letter. Its Message-ID is the delivery's, so that a second one of it can be told. Raises ValueError."""
    subject, text = letter
    message = EmailMessage()
    message["From"] = sender
    message["To"] = delivery.target
    message["Subject"] = " ".join(subject.split())
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{delivery.id}@{sender.rpartition('@')[2].rstrip('>') or 'armillary'}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
