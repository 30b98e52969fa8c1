"""Groups and people as XML, as the stock client of groups reads and writes them.

Its reader skips an element whose only content is elements, unless there is white space between: what we write is
indented.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import lxml.etree  # pyright: ignore[reportMissingTypeStubs, reportMissingImports]

from armillary.accounts.core.group_rules import (
    OWNERLESS,
    STOCK_GMS,
    GroupBrief,
    GroupDetail,
    Places,
    group_name_in,
)
from armillary.accounts.model import Person
from armillary.base.errors import Invalid
from armillary.base.ids import PersonId

_etree = typing.cast("typing.Any", lxml.etree)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_URI = STOCK_GMS + "?"
"""The prefix that the stock client insists on, whatever the service is called where it was found."""

FindPerson = Callable[[str, str], Person]
"""(kind of identity, name) -> the person; raises NotFound."""


class Read(typing.Protocol):
    """What we use of lxml's elements, which come without types."""

    tag: str
    text: str | None

    def get(self, name: str, default: str = "", /) -> str:
        """Return an attribute."""
        ...

    def iterfind(self, path: str, /) -> Iterator[Read]:
        """Return the elements at a path."""
        ...

    def findtext(self, path: str, /) -> str | None:
        """Return the text of the first element at a path."""
        ...


@dataclass(frozen=True, kw_only=True)
class GroupDocument:
    """A group as a client wants it."""

    name: str
    description: str
    members: Places
    admins: Places


def write_groups(groups: Iterable[GroupBrief]) -> bytes:
    """Return the document of a listing."""
    root = ET.Element("groups")
    for group in groups:
        made = ET.SubElement(root, "group", uri=_URI + group.name)
        _identify(ET.SubElement(made, "owner"), group.owner_name or OWNERLESS)
    return _text(root)


def write_group(group: GroupDetail) -> bytes:
    """Return the document of one group with all that is in it."""
    root = ET.Element("group", uri=_URI + group.name)
    owner = ET.SubElement(root, "owner")
    if group.owner is not None:
        _person(owner, group.owner)
    else:
        _identify(owner, OWNERLESS)
    ET.SubElement(root, "description").text = _NOT_IN_XML.sub(" ", group.description)
    if group.changed_at is not None:
        moment = group.changed_at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        ET.SubElement(root, "lastModified").text = moment
    for tag, names in (("groupMembers", group.member_groups), ("groupAdmins", group.admin_groups)):
        element = ET.SubElement(root, tag)
        for name in names:
            ET.SubElement(element, "group", uri=_URI + name)
    for tag, people in (("userMembers", group.members), ("userAdmins", group.admins)):
        element = ET.SubElement(root, tag)
        for person in people:
            _person(element, person)
    return _text(root)


def write_person(person: Person) -> bytes:
    """Return the document of a person."""
    holder = ET.Element("users")
    return _text(_person(holder, person))


def read_group(document: bytes, authorities: frozenset[str], find: FindPerson) -> GroupDocument:
    """Read a group. What is not in the document is empty.

    Raises:
        Invalid: it is no such document, or names a group that is not ours.
        NotFound: somebody in it is not known.
    """
    root = _parse(document)
    description = root.findtext("description") or ""
    return GroupDocument(
        name=_name(root, authorities),
        description=description.strip(),
        members=Places(
            people=_people(root, "userMembers", find), groups=_groups(root, "groupMembers", authorities)
        ),
        admins=Places(
            people=_people(root, "userAdmins", find), groups=_groups(root, "groupAdmins", authorities)
        ),
    )


def _parse(document: bytes) -> Read:
    # neither entities nor files nor the network: a document of a few bytes must not become another one
    parser = _etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = _etree.fromstring(document, parser)
    except (_etree.XMLSyntaxError, ValueError) as error:
        raise _bad("This is not a document in XML.") from error
    if root.getroottree().docinfo.doctype:
        raise _bad("A document type is not taken.")
    if root.tag != "group":
        raise _bad(f"This is a {str(root.tag)[:40]!r}, not a group.")
    return typing.cast("Read", root)


def _people(root: Read, tag: str, find: FindPerson) -> frozenset[PersonId]:
    found: set[PersonId] = set()
    for user in root.iterfind(f"{tag}/user"):
        identities = [
            (identity.get("type", ""), (identity.text or "").strip())
            for identity in user.iterfind("identities/identity")
        ]
        known = [pair for kind in ("HTTP", "X500") for pair in identities if pair[0] == kind]
        if not known:
            raise _bad(f"A user in {tag} has neither an HTTP nor an X500 identity.")
        found.add(find(*known[0]).id)
    return frozenset(found)


def _groups(root: Read, tag: str, authorities: frozenset[str]) -> frozenset[str]:
    return frozenset(_name(element, authorities) for element in root.iterfind(f"{tag}/group"))


def _name(element: Read, authorities: frozenset[str]) -> str:
    uri = element.get("uri", "")
    name = group_name_in(uri, authorities)
    if name is None:
        raise _bad(f"{uri[:200]!r} is not a group here.", f"Write it as {_URI}NAME.")
    return name


def _person(parent: ET.Element, person: Person) -> ET.Element:
    user = ET.SubElement(parent, "user")
    uri = ET.SubElement(ET.SubElement(user, "internalID"), "uri")
    uri.text = _URI + person.id
    _identities(user, person.user_name)
    return user


def _identify(parent: ET.Element, user_name: str) -> None:
    _identities(ET.SubElement(parent, "user"), user_name)


def _identities(user: ET.Element, user_name: str) -> None:
    identities = ET.SubElement(user, "identities")
    for kind, name in (("X500", f"CN={user_name}"), ("HTTP", user_name)):
        ET.SubElement(identities, "identity", type=kind).text = name


def _text(root: ET.Element) -> bytes:
    ET.indent(root)
    return ET.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def _bad(message: str, remedy: str = "Send a document as cadc-groups does.") -> Invalid:
    return Invalid(message, code="invalid_argument", facts={"field": "document"}, remedy=remedy)
