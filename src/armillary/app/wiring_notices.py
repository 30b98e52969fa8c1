"""Makes what tells people that their jobs are over."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from armillary.accounts.service import AccountsService
from armillary.app.settings import MailTable, Settings
from armillary.base.clock import Clock
from armillary.base.ids import new_secret
from armillary.base.outward import Outward
from armillary.batch.notices.book import NoticeBook
from armillary.batch.notices.mail import Mail, MailServer
from armillary.batch.notices.model import Kind
from armillary.batch.notices.service import Notices, Send
from armillary.batch.notices.webhook import Webhook


def build_notices(
    *,
    settings: Settings,
    book: NoticeBook,
    secret: bytes,
    people: AccountsService,
    clock: Clock,
    errands: ThreadPoolExecutor,
) -> Notices:
    """Make the notices of `settings`: mail when there is a server, POSTs always."""
    way = Outward(allowed=settings.batch.notify_hosts, setting="[batch] notify_hosts")
    senders: dict[Kind, Send] = {Kind.URL: Webhook(way=way, secret=secret, clock=clock)}
    if settings.mail.host:
        senders[Kind.MAIL] = Mail(server=_server(settings.mail))
    return Notices(
        book=book,
        people=people,
        clock=clock,
        senders=senders,
        run=errands.submit,
        to_others=settings.mail.to_others,
    )


def _server(mail: MailTable) -> MailServer:
    file = mail.password_file
    return MailServer(
        host=mail.host,
        port=mail.port,
        starttls=mail.starttls,
        user=mail.user,
        password=lambda: file.read_text().strip() if file else "",
        sender=mail.sender,
    )


def notify_secret(folder: Path) -> bytes:
    """Return the platform's secret behind the keys of webhooks; the first call makes it."""
    file = folder / "notify-secret"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f".notify-secret.{os.getpid()}"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(new_secret())
    try:
        os.link(fresh, file)  # whoever is first wins, and what is there is whole
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return file.read_bytes()
