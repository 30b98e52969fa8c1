"""Makes what tells people: that their jobs are over, that a request is decided, that a machine expires."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from armillary.accounts.service import AccountsService
from armillary.app.settings import MailTable, Settings
from armillary.base.clock import Clock
from armillary.base.ids import new_secret
from armillary.base.outward import Outward
from armillary.notices.announcements import Announcements
from armillary.notices.mail import Mail, MailServer
from armillary.notices.model import Channel
from armillary.notices.outbox import Outbox
from armillary.notices.sending import Send, Sending
from armillary.notices.service import Notices
from armillary.notices.tables import create_all
from armillary.notices.webhook import Webhook
from armillary.portal.letters import Letters


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What tells people, made."""

    notices: Notices
    announcements: Announcements
    sending: Sending
    outbox: Outbox
    secret: bytes
    errands: ThreadPoolExecutor


def build_notices(*, settings: Settings, database: Engine, people: AccountsService, clock: Clock) -> Telling:
    """Make the notices of `settings`: mail when there is a server, POSTs always."""
    create_all(database)
    secret = notify_secret(settings.home / "batch")
    way = Outward(allowed=settings.batch.notify_hosts, setting="[batch] notify_hosts")
    senders: dict[Channel, Send] = {Channel.URL: Webhook(way=way, secret=secret, clock=clock)}
    if settings.mail.host:
        letters = Letters(url=_portal_url(settings.host_names, settings.https_port))
        senders[Channel.MAIL] = Mail(server=_server(settings.mail), letter=letters)
    outbox = Outbox(database=database)
    errands = ThreadPoolExecutor(max_workers=8, thread_name_prefix="notice")
    notices = Notices(
        database=database, people=people, clock=clock, channels=frozenset(senders), secret=secret
    )
    return Telling(
        notices=notices,
        announcements=Announcements(database=database, clock=clock),
        sending=Sending(outbox=outbox, clock=clock, senders=senders, run=errands.submit),
        outbox=outbox,
        secret=secret,
        errands=errands,
    )


def _portal_url(host_names: Sequence[str], port: int) -> str:
    """Where people's browsers find the portal, as far as the settings tell."""
    if not host_names:
        return f"https://localhost:{port}" if port else ""
    return f"https://{host_names[0]}" + ("" if port == 443 else f":{port}")


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
