"""Share links: addresses that let people without an account read a file or a folder, for a while.

What a link allows is decided again each time it is used, in the name of who made it: that person must still be there
and still read the node. So nothing is given away by a link that its maker could not give away at that moment.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from armillary.accounts.model import Person
from armillary.base.errors import ArmillaryError, Forbidden, Invalid, NotFound, QuotaExceeded
from armillary.base.ids import PersonId, new_hex
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.link_model import ShareLink
from armillary.vospace.link_ports import LinkRecords
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import HOME_DEPTH, Who
from armillary.vospace.service.base import as_path, audit
from armillary.vospace.service.files import Opened
from armillary.vospace.service.nodes import VOSpaceService

LONGEST = timedelta(days=366)
MOST_LINKS = 1000
"""of one person, those that have ended not counted"""
MOST_USES = 1_000_000
KEPT = timedelta(days=30)
"""after its end a link is shown to its maker for so long"""

_MAC_DIGITS = 32


class Links:
    """Makes links, opens them, and takes them back."""

    def __init__(
        self, *, space: VOSpaceService, records: LinkRecords, holder: Callable[[PersonId], Person]
    ) -> None:
        """Open nodes of `space`. `holder` returns a person as they are, or raises when they are gone or off."""
        self._space = space
        self._records = records
        self._holder = holder
        self._clock = space.clock
        self._key = space.signing_key()

    def make(
        self,
        who: Who,
        path: VOSPath | str,
        *,
        lifetime: timedelta,
        most: int | None = None,
        lists: bool = True,
    ) -> ShareLink:
        """Make a link to a file or a folder.

        Raises:
            Forbidden: only owners share.
            Invalid: it would live too long, or is for no file.
            QuotaExceeded: there are too many already.
        """
        if not timedelta(0) < lifetime <= LONGEST:
            raise Invalid(
                f"A link lives for {LONGEST.days} days at most.",
                code="invalid_argument",
                facts={"field": "days", "longest": LONGEST.days},
                remedy="Choose a shorter time.",
            )
        if most is not None and not 1 <= most <= MOST_USES:
            raise Invalid(
                f"A link is good for 1 to {MOST_USES} files.",
                code="invalid_argument",
                facts={"field": "most", "largest": MOST_USES},
                remedy="Choose another number.",
            )
        path = as_path(path)
        with self._space.records.reading() as tree:
            asker = self._space.access.asker(who)
            way = self._space.access.find(asker, tree.walk(path), path)
            node = self._space.access.require(asker, Action.SHARE, way)
        assert asker is not None, "strangers share nothing"
        if node.kind is NodeKind.LINK or len(way) <= HOME_DEPTH or not asker.may_write or asker.confined:
            raise Forbidden(
                f"{path} cannot be shared by a link.",
                code="permission_denied",
                facts={"path": str(path)},
                remedy="Choose a file or a folder inside a home.",
            )
        now = self._clock.now()
        if sum(link.is_open(now) for link in self._records.links_of(asker.person_id)) >= MOST_LINKS:
            raise QuotaExceeded(
                f"You have {MOST_LINKS} links.",
                code="too_many_links",
                facts={"most": MOST_LINKS},
                remedy="Revoke links that nobody needs.",
            )
        link = ShareLink(
            id=new_hex(),
            path=path,
            node_id=node.id,
            is_folder=node.is_container,
            owner_id=asker.person_id,
            owner_name=asker.user_name,
            lists=lists,
            made_at=now,
            expires_at=now + lifetime,
            most=most,
        )
        self._records.add_link(link)
        audit.info("vospace.link %s", path, extra={"user": asker.user_name, "link": link.id})
        return link

    def now(self) -> datetime:
        """Return the moment by which links are open or not."""
        return self._clock.now()

    def secret(self, link: ShareLink) -> str:
        """Return what stands in the link's address: its id, and our signature of it. It is not kept anywhere."""
        return f"{link.id}.{self._mac(link.id)}"

    def mine(self, who: Who, path: VOSPath | str | None = None) -> Sequence[ShareLink]:
        """Return the links that somebody made, the newest first."""
        asker = self._space.access.asker(who)
        if asker is None or not asker.may_read:
            return []
        return self._records.links_of(asker.person_id, as_path(path) if path is not None else None)

    def revoke(self, who: Who, link_id: str) -> ShareLink:
        """Take a link back: from now on it opens nothing. Harmless twice.

        Raises:
            NotFound: there is no such link of theirs.
        """
        asker = self._space.access.asker(who)
        link = self._records.link(link_id)
        if asker is None or link is None or (link.owner_id != asker.person_id and not asker.is_admin):
            raise _closed()
        if not asker.may_write or asker.confined:
            raise Forbidden("This credential changes nothing.", code="permission_denied")
        self._records.revoke_link(link_id, self._clock.now())
        audit.info("vospace.unlink %s", link.path, extra={"user": asker.user_name, "link": link.id})
        return link

    def look(self, secret: str, below: VOSPath = VOSPath()) -> tuple[ShareLink, Node, Asker]:  # noqa: B008 - a frozen value
        """Return a link, the node that is `below` its own, and in whose name that may be read.

        Raises:
            NotFound: it is none of ours, expired, revoked, used up, or what it was for is gone: strangers are not
                told which.
        """
        link_id, _, mac = secret.partition(".")
        if not hmac.compare_digest(self._mac(link_id).encode(), mac.encode()):
            raise _closed()
        link = self._records.link(link_id)
        if link is None or not link.is_open(self._clock.now()):
            raise _closed()
        if below.names and not (link.is_folder and link.lists):
            raise _closed()
        try:
            person = self._holder(link.owner_id)
            asker = Asker(
                person_id=person.id,
                user_name=person.user_name,
                groups=self._space.groups(person.id),
                may_write=False,
            )
            path = VOSPath((*link.path.names, *below.names))
            with self._space.records.reading() as tree:
                way = tree.walk(path)
                node = self._space.access.require(
                    asker, Action.READ, self._space.access.find(asker, way, path)
                )
        except ArmillaryError as error:
            raise _closed() from error
        # A link inside the folder could lead to what was not shared; and another node in the old place is not meant.
        if way[len(link.path.names)].id != link.node_id or node.kind is NodeKind.LINK:
            raise _closed()
        return link, node, asker

    def fetch(self, secret: str, below: VOSPath, start: int = 0, stop: int | None = None) -> Opened:
        """Open a file by a link, which counts. The rest of one that broke off does not, unless the number is limited:
        all of a file but one byte is its rest.

        Raises:
            NotFound: see `look`.
        """
        link, node, asker = self.look(secret, below)
        if not node.is_file:
            raise _closed()
        if start == 0 or link.most is not None:
            self._use(link, node.path)
        opened = self._space.open_bytes(asker, node.path, start, stop)
        if opened.node.id != node.id:
            raise _closed()  # a link took its place in the meantime
        return opened

    def fetch_folder(self, secret: str, below: VOSPath) -> tuple[Node, Asker]:
        """Say which folder is to be packed, and in whose name. It counts once.

        Raises:
            NotFound: see `look`.
        """
        link, node, asker = self.look(secret, below)
        if not node.is_container:
            raise _closed()
        self._use(link, node.path)
        return node, asker

    def sweep(self) -> None:
        """Forget links that ended long ago."""
        while self._records.forget_links(self._clock.now() - KEPT, 500) == 500:
            pass

    def _use(self, link: ShareLink, path: VOSPath) -> None:
        if not self._records.use_link(link.id, self._clock.now()):
            raise _closed()
        audit.info("vospace.link_used %s", path, extra={"user": link.owner_name, "link": link.id})

    def _mac(self, link_id: str) -> str:
        return hmac.digest(self._key, f"share {link_id}".encode(), "sha256").hex()[:_MAC_DIGITS]


def _closed() -> NotFound:
    return NotFound(
        "There is nothing at this address, or not any more.",
        code="link_closed",
        remedy="Ask who gave it to you for a new one.",
    )
