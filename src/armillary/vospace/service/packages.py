"""Branches and files in one archive: what the asker may read of them, under names that are safe to unpack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from armillary.base.errors import ArmillaryError, Forbidden, Invalid, NotFound, Unauthorized
from armillary.vospace.archives import Entry, tar, zipped
from armillary.vospace.core.names import PACKAGE_VIEW
from armillary.vospace.core.permissions import Asker
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import VOSPath, parse_uri
from armillary.vospace.service.nodes import VOSpaceService
from armillary.vospace.transfer_xml import TransferDocument

FORMATS = {
    "application/x-tar": ("tar", tar),
    "application/zip": ("zip", zipped),
    "tar": ("tar", tar),
    "zip": ("zip", zipped),
}
"""By media type, and as people write them: the ending, and what writes it."""
MEDIA_TYPES = {"tar": "application/x-tar", "zip": "application/zip"}
DEFAULT = "application/x-tar"


class Packages:
    """Packs nodes of a space."""

    def __init__(self, *, space: VOSpaceService) -> None:
        """Pack what is in `space`."""
        self._space = space

    def targets(self, transfer: TransferDocument) -> Sequence[VOSPath]:
        """Return what is to be packed."""
        return [parse_uri(target, self._space.authorities) for target in transfer.targets]

    def check(self, asker: Asker | None, targets: Sequence[VOSPath]) -> None:
        """Refuse a package of what is not there or may not be read.

        Raises:
            NotFound, Forbidden, Unauthorized, Invalid: one of the targets cannot be packed.
        """
        for path in targets:
            node = self._space.node(asker, path)
            if node.kind is NodeKind.LINK:
                self._space.open_bytes(asker, path, head=True)

    def open(
        self, asker: Asker | None, targets: Sequence[VOSPath], ending: str, *, follow: bool = True
    ) -> Iterator[bytes]:
        """Return the archive of the targets, each with its own name at the top. What may not be read is left out.

        A link to a file is packed as that file, or with `follow` off left out as links to containers and out of the
        space always are. Should a file vanish while it is read the iterator raises, so that nobody takes half an
        archive for a whole one.
        """
        return FORMATS[ending][1](self._entries(asker, targets, follow=follow))

    def _entries(self, asker: Asker | None, targets: Sequence[VOSPath], *, follow: bool) -> Iterator[Entry]:
        taken: dict[str, int] = {}
        for path in targets:
            name = safe(path.name or "vospace")
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:
                name = f"{name} ({taken[name]})"
            try:
                node = self._space.node(asker, path)
            except (NotFound, Forbidden, Unauthorized):
                continue
            yield from self._of(asker, node, name, follow=follow)

    def _of(self, asker: Asker | None, node: Node, name: str, *, follow: bool) -> Iterator[Entry]:
        if node.kind is NodeKind.LINK and not follow:
            return
        if not node.is_container:
            try:
                opened = self._space.open_bytes(asker, node.path)
            except ArmillaryError as error:
                if error.status >= 500:
                    raise
                return
            file = opened.node
            if file.id != node.id and not follow:
                return  # a link took its place in the meantime
            yield Entry(
                name=name,
                modified_at=file.modified_at,
                length=opened.stop - opened.start,
                chunks=opened.chunks,
            )
            return
        try:
            children = self._space.children(asker, node.path)
        except (NotFound, Forbidden, Unauthorized, Invalid):
            return
        yield Entry(name=name, modified_at=node.modified_at)
        for child in children:
            yield from self._of(asker, child, f"{name}/{safe(child.name)}", follow=follow)


def safe(name: str) -> str:
    """Return a node's name as it stands in an archive.

    Names of nodes have no slashes and no controls, and are not `.` or `..`. What is left are a backslash, which
    some systems take for a slash, and a drive letter at the beginning.
    """
    name = name.replace("\\", "%5C")
    return name[0] + "%3A" + name[2:] if name[1:2] == ":" else name


def ending_of(text: str) -> str:
    """Return the ending for a format that was asked for; empty means the usual one.

    Raises:
        Invalid: it is none of ours.
    """
    found = FORMATS.get(text.split(";", maxsplit=1)[0].strip().lower() or DEFAULT)
    if found is None:
        raise Invalid(
            f"{text[:100]!r} is not a format of packages.",
            code="invalid_argument",
            facts={"view": PACKAGE_VIEW, "offered": sorted(MEDIA_TYPES.values())},
            remedy="Ask for application/zip or application/x-tar.",
        )
    return found[0]


def format_of(transfer: TransferDocument) -> str:
    """Return the ending for the format that a transfer asks for."""
    asked = [value for uri, value in transfer.view_params if uri.endswith("#format")]
    return ending_of(asked[-1] if asked else "")
