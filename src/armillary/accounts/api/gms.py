"""`/gms`: the IVOA's Group Membership Service 1.0, and the requests by which the stock client changes groups."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from armillary.accounts.api.gms_xml import read_group, write_group, write_groups
from armillary.accounts.core.group_rules import Place, group_name_in
from armillary.accounts.model import Person, Principal
from armillary.accounts.service import AccountsService
from armillary.base.errors import Invalid, NotFound

ROLES = ("member", "admin", "owner")


class GroupDesk:
    """Groups over the wire of the stock client.

    `authorities` are the names of our group service, `ivo://…/gms`: groups under others are not ours.
    """

    def __init__(self, *, service: AccountsService, authorities: frozenset[str]) -> None:
        self._service = service
        self._authorities = authorities

    def search(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Answer which of the groups asked for, or of all, the caller is in: names, a line each (GMS 1.0, 3.1).

        With `role` the answer is a document, and may be about the groups that the caller owns or looks after.
        """
        asked = _parameters(request)
        headers = {"Cache-Control": "no-store"}
        if "role" in asked:
            role = asked["role"][0].lower()
            if role not in ROLES:
                raise Invalid(
                    f"{role[:40]!r} is not a role.",
                    code="invalid_argument",
                    facts={"field": "role"},
                    remedy=f"Ask for one of {', '.join(ROLES)}.",
                )
            found = self._service.groups_in_role(who.person, role)
            if "groupid" in asked:
                names = {self._known_name(text) for text in asked["groupid"]}
                found = [group for group in found if group.name in names]
            return Response(write_groups(found), media_type="text/xml", headers=headers)
        mine = self._service.groups_of(who.person.id)
        if "group" in asked:
            mine &= {name for text in asked["group"] if (name := self._known_name(text))}
        listed = (name for name in sorted(mine) if self._known_name(name))
        return PlainTextResponse("".join(f"{name}\r\n" for name in listed), headers=headers)

    def listing(self, _request: Request, who: Principal, _body: bytes) -> Response:
        """List the names of the caller's groups; an administrator of the platform sees all."""
        found = (
            self._service.every_group()
            if who.person.is_admin
            else self._service.groups_in_role(who.person, "member")
        )
        return PlainTextResponse("".join(f"{group.name}\r\n" for group in found))

    def create(self, _request: Request, who: Principal, body: bytes) -> Response:
        """Make a group that the caller owns."""
        wanted = read_group(body, self._authorities, self._find)
        made = self._service.open_group(
            wanted.name,
            by=who.person,
            description=wanted.description,
            members=wanted.members,
            admins=wanted.admins,
        )
        return Response(write_group(made), status_code=201, media_type="text/xml")

    def show(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Show a group with all that is in it."""
        return Response(
            write_group(self._service.group_detail(self._path(request, "group"), by=who.person)),
            media_type="text/xml",
        )

    def update(self, request: Request, who: Principal, body: bytes) -> Response:
        """Make a group what the document says, whole."""
        name = self._path(request, "group")
        wanted = read_group(body, self._authorities, self._find)
        if wanted.name != name:
            raise Invalid(
                f"The document is about {wanted.name}, the address about {name}.",
                code="invalid_argument",
                facts={"field": "uri"},
                remedy="A group keeps its name: make another one.",
            )
        changed = self._service.edit_group(
            name,
            by=who.person,
            description=wanted.description,
            members=wanted.members,
            admins=wanted.admins,
        )
        return Response(write_group(changed), media_type="text/xml")

    def remove(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Delete a group."""
        self._service.close_group(self._path(request, "group"), by=who.person)
        return Response(status_code=200)

    def people(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Put a person in (PUT), or take one out (DELETE)."""
        asked = _parameters(request)
        name = self._name(asked["groupid"][0]) if "groupid" in asked else self._path(request, "group")
        kind = asked.get("idtype", ["HTTP"])[0]
        identity = asked["userid"][0] if "userid" in asked else request.path_params["user"]
        change = self._service.put_into_group if request.method == "PUT" else self._service.take_out_of_group
        change(name, Place.MEMBER, by=who.person, person=self._find(kind, identity).id)
        return Response(status_code=200)

    def groups(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Put a group into a group (PUT), or take it out (DELETE).

        The stock client swaps the two in the path when it takes one out, so its parameters count, not the path.
        """
        asked = _parameters(request)
        name, inner = self._path(request, "group"), self._path(request, "inner")
        if "groupid" in asked and "groupid2" in asked:
            name, inner = self._name(asked["groupid"][0]), self._name(asked["groupid2"][0])
        change = self._service.put_into_group if request.method == "PUT" else self._service.take_out_of_group
        change(name, Place.MEMBER, by=who.person, group=inner)
        return Response(status_code=200)

    def _find(self, kind: str, name: str) -> Person:
        return find_person(self._service, kind, name)

    def _known_name(self, text: str) -> str | None:
        return group_name_in(text, self._authorities)

    def _path(self, request: Request, part: str) -> str:
        return self._name(request.path_params[part])

    def _name(self, text: str) -> str:
        name = self._known_name(text)
        if name is None:
            raise NotFound(
                f"There is no group {text[:128]!r}.",
                code="group_not_found",
                facts={"group": text[:128]},
                remedy="Check the name.",
            )
        return name


def find_person(service: AccountsService, kind: str, name: str) -> Person:
    """Return the person with an identity: a user name (`HTTP`), or the distinguished name of our certificates (`X500`).

    Raises:
        NotFound: nobody has it.
        Invalid: identities of that kind are not known here.
    """
    kind = kind.upper()
    if kind not in {"HTTP", "X500"}:
        raise Invalid(
            f"{kind[:40]!r} is no kind of identity here.",
            code="invalid_argument",
            facts={"field": "idType"},
            remedy="Use HTTP, with the user name, or X500.",
        )
    if kind == "X500":
        # our certificates have a common name and nothing else; a longer name is another authority's
        attribute, _, name = name.partition("=")
        if attribute.strip().upper() != "CN" or "," in name:
            raise NotFound(
                "Nobody here has that distinguished name.",
                code="person_not_found",
                remedy="Use the user name.",
            )
    return service.person_named(name.strip())


def _parameters(request: Request) -> dict[str, list[str]]:
    """The query by names in lower case: services of the IVOA take them in any case."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name.lower(), []).append(value)
    return found
