"""Answers guests: who they are is signed by the switch that carried their question, as Neutron's proxy does it."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import ServerId
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.records import alive, own
from armillary.cloud.core.about import About
from armillary.cloud.core.config_drive import build_config_drive
from armillary.cloud.core.metadata import Item, lookup, versions
from armillary.cloud.core.signature import sign
from armillary.cloud.metadata.passwords import Passwords
from armillary.cloud.metadata.reading import read_about

_FRESH = timedelta(seconds=5)
"""cloud-init asks some thirty times in a second or two; Nova keeps its answers for 15 seconds"""
_MOST_KEPT = 256
MOST_PASSWORD_BYTES = 1020
"""Nova's, which keeps it in four pieces of 255"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A guest's question. What the header fields hold is None where they were not sent."""

    method: str
    path: str
    body: bytes
    server_id: str | None
    project_id: str | None
    signature: str | None


class MetadataService:
    """What guests read about themselves, over the network and on their config drives: one source for both."""

    def __init__(self, *, engine: Engine, clock: Clock, secret: str, vendor_data: str = "") -> None:
        self._engine = engine
        self._clock = clock
        self._secret = secret
        self._passwords = Passwords(engine=engine)
        self._static: Mapping[str, str] = {"cloud-init": vendor_data} if vendor_data else {}
        self._lock = threading.Lock()
        self._kept: dict[ServerId, tuple[datetime, About]] = {}

    def answer(self, asked: Asked) -> Item:
        """Return what lies at the path, for the server that the signature vouches for.

        Raises:
            Invalid: a header field is missing, or the password is too long.
            Forbidden: the signature is wrong.
            NotFound: there is no such server in that project, or nothing lies there.
            Conflict: the server has posted its password already.
        """
        if not asked.path.strip("/"):
            return versions()  # Nova asks nobody for this one
        about = self._about(asked)
        item = lookup(about, asked.path)
        if item is None:
            raise NotFound("", code="metadata_not_found")
        if not item.is_password or asked.method == "GET":
            return item
        if asked.method != "POST":
            raise Invalid("GET and POST only are supported.", code="metadata_method")
        self._take_password(about, asked.body)
        return replace(item, body=b"")

    def _about(self, asked: Asked) -> About:
        for name, value in (
            ("X-Instance-ID", asked.server_id),
            ("X-Instance-ID-Signature", asked.signature),
            ("X-Tenant-ID", asked.project_id),
        ):
            if value is None:
                raise Invalid(f"{name} header is missing from request.", code="metadata_header_missing")
        server_id = ServerId(asked.server_id or "")
        if not hmac.compare_digest(sign(self._secret, server_id).encode(), (asked.signature or "").encode()):
            raise Forbidden("Invalid proxy request signature.", code="metadata_signature")
        about = self._fresh(server_id)
        if about is None or about.server.project_id != asked.project_id:
            raise NotFound("", code="metadata_not_found")
        return about

    def _fresh(self, server_id: ServerId) -> About | None:
        now = self._clock.now()
        with self._lock:
            known = self._kept.get(server_id)
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        with self._engine.execution_options(readonly=True).connect() as connection:
            server = alive(connection, server_id)
            if server is not None:  # as from Nova, the password that we made is on the drive alone
                server = replace(server, admin_pass=None)
            about = read_about(connection, server, static=self._static) if server is not None else None
        with self._lock:
            self._kept.pop(server_id, None)
            if about is not None:
                while len(self._kept) >= _MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[server_id] = (now, about)
        return about

    def _take_password(self, about: About, body: bytes) -> None:
        server_id = about.server.id
        if len(body) > MOST_PASSWORD_BYTES:
            raise Invalid("Request is too large.", code="metadata_password_too_long")
        if not self._passwords.post(server_id, body.decode("utf-8", "replace")):
            raise Conflict("", code="metadata_password_set")
        with self._lock:
            self._kept.pop(server_id, None)

    def drive(self, server: Server) -> Mapping[str, bytes]:
        """Return the files of a server's config drive, none if it has no drive."""
        if not server.config_drive:
            return {}
        with self._engine.execution_options(readonly=True).connect() as connection:
            return build_config_drive(read_about(connection, server, static=self._static))

    def password(self, principal: Principal, server_id: str) -> str:
        """Return what a server posted as its password, encrypted for its key; empty if nothing."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            found = own(connection, principal, server_id).id
        return self._passwords.get(found)

    def clear_password(self, principal: Principal, server_id: str) -> None:
        """Forget a server's password; the server may post another one."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            found = own(connection, principal, server_id).id
        self._passwords.forget(found)
        with self._lock:
            self._kept.pop(found, None)
