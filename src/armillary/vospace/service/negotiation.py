"""What a transfer asks for, and whether it may be: targets, views, protocols and ways to sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from armillary.base.errors import Invalid
from armillary.base.ids import new_hex
from armillary.vospace.core.names import ANY_VIEW, BINARY_VIEW, CORE, DEFAULT_VIEW, FILE_VIEWS, PACKAGE_VIEW
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.paths import VOSPath, parse_uri, to_uri
from armillary.vospace.service.access import denied
from armillary.vospace.service.base import settled
from armillary.vospace.service.nodes import VOSpaceService
from armillary.vospace.transfer_xml import Protocol, TransferDocument

PULL = "pullFromVoSpace"
PUSH = "pushToVoSpace"
PULL_TO = "pullToVoSpace"
PUSH_FROM = "pushFromVoSpace"
CLIENT_MOVES = frozenset({PULL, PUSH})
SERVICE_MOVES = frozenset({PULL_TO, PUSH_FROM})

_GET = frozenset({CORE + "httpget", CORE + "httpsget"})
_PUT = frozenset({CORE + "httpput", CORE + "httpsput"})
OFFERED = {PULL: _GET, PUSH: _PUT}
CARRIED = {
    # The standard's own example of pullToVoSpace asks for a PUT, where only a GET makes sense.
    PULL_TO: _GET | _PUT,
    PUSH_FROM: _PUT,
}
_SECURITY = frozenset(
    {
        "ivo://ivoa.net/sso#tls-with-certificate",
        "ivo://ivoa.net/sso#cookie",
        "ivo://ivoa.net/sso#token",
        "ivo://ivoa.net/sso#BasicAA",
        "http://www.w3.org/Protocols/HTTP/1.0/spec/html#BasicAA",
        "vos://cadc.nrc.ca~vospace/CADC/std/Auth#token-1.0",
    }
)
_ANONYMOUS = "ivo://ivoa.net/sso#anon"
_WHOLE = frozenset({"", ANY_VIEW, BINARY_VIEW, DEFAULT_VIEW, "ivo://cadc.nrc.ca/vospace/view#data"})


def offered(transfer: TransferDocument) -> Sequence[Protocol]:
    """Return those of the protocols asked for that we offer, with the ways to sign in that we know.

    Raises:
        Invalid: there is none (code `protocol_not_supported`).
    """
    found: list[Protocol] = []
    for protocol in transfer.protocols:
        if protocol.uri not in OFFERED[transfer.direction]:
            continue
        security = tuple(uri for uri in protocol.security if uri in _SECURITY)
        if security or not protocol.security or _ANONYMOUS in protocol.security:
            found.append(replace(protocol, security=security, endpoint="", params=()))
    if not found:
        raise _no_protocol(OFFERED[transfer.direction])
    return found


def carried(transfer: TransferDocument) -> Sequence[Protocol]:
    """Return the protocols by which we can fetch or send, in the client's order, each endpoint once.

    Raises:
        Invalid: there is none (code `protocol_not_supported`).
    """
    found: dict[str, Protocol] = {}
    for protocol in transfer.protocols:
        if protocol.uri in CARRIED[transfer.direction] and protocol.endpoint:
            found.setdefault(protocol.endpoint, protocol)
    if not found:
        raise _no_protocol(CARRIED[transfer.direction])
    return list(found.values())


class Negotiation:
    """Decides about transfers of a space."""

    def __init__(self, *, space: VOSpaceService) -> None:
        """Decide for `space`."""
        self._space = space

    def check(self, asker: Asker | None, transfer: TransferDocument) -> VOSPath:
        """Return the node whose bytes a client may read or write.

        A container as the goal of bytes means: under a new name inside it. So does the name `.auto`.

        Raises:
            Invalid, NotFound, Forbidden, Unauthorized, Conflict: it may not.
        """
        if transfer.direction not in CLIENT_MOVES:
            raise Invalid(
                "Only a client's own reading and writing can be asked for here.",
                code="operation_not_supported",
                facts={"field": "direction", "direction": transfer.direction[:100]},
                remedy=f"Use {PULL} or {PUSH}, or make it a job at transfers.",
            )
        path = self.one_target(transfer)
        offered(transfer)
        if transfer.direction == PULL:
            self.check_view(transfer)
            self._space.open_bytes(asker, path, head=True)
            return path
        if transfer.view == PACKAGE_VIEW:
            raise Invalid(
                "Archives are not unpacked.",
                code="view_not_supported",
                facts={"field": "view", "view": transfer.view},
                remedy="Send the files one by one, or the archive as a file.",
            )
        return self.goal_of_bytes(asker, path)

    def goal_of_bytes(self, asker: Asker | None, path: VOSPath) -> VOSPath:
        """Return where bytes that are meant for `path` may be written."""
        if asker is None:
            raise denied(None, Action.WRITE, path)
        path = self.named(asker, path)
        self._space.begin_upload(asker, path).abort()
        return path

    def named(self, asker: Asker, path: VOSPath) -> VOSPath:
        """Return the place of new bytes, with a new name for `.auto` and for a container."""
        path = settled(path)
        with self._space.records.reading() as tree:
            way = tree.walk(path)
        if len(way) == len(path.names) + 1 and way[-1].is_container:
            self._space.access.require(asker, Action.READ, way)
            return path / new_hex()
        return path

    def one_target(self, transfer: TransferDocument) -> VOSPath:
        """Return the target of a transfer that has only one."""
        if len(transfer.targets) != 1:
            raise Invalid(
                "Only packages have several targets.",
                code="invalid_argument",
                facts={"field": "target", "targets": len(transfer.targets)},
                remedy="Ask for one at a time, or for the package view.",
            )
        return parse_uri(transfer.target, self._space.authorities)

    @staticmethod
    def check_view(transfer: TransferDocument, *, whole: bool = False) -> None:
        """Refuse a view of a file that we do not give; with `whole` all but the file itself."""
        if transfer.view not in _WHOLE and (whole or transfer.view not in FILE_VIEWS):
            raise Invalid(
                f"{transfer.view[:200]} is not given of this node.",
                code="view_not_supported",
                facts={"field": "view", "view": transfer.view[:200], "package": PACKAGE_VIEW},
                remedy="Leave the view out.",
            )

    def uri(self, path: VOSPath) -> str:
        """Return how a node is called in results."""
        return to_uri(path, self._space.authorities[0].replace("/", "~"))


def _no_protocol(known: frozenset[str]) -> Invalid:
    return Invalid(
        "None of these protocols is offered for this direction.",
        code="protocol_not_supported",
        facts={"offered": sorted(known)},
        remedy="Ask for one that is offered.",
    )
