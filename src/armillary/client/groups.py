"""Groups and certificates."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from armillary.client.http import Armillary

_BASE = "/api/v1/accounts"
Record = dict[str, Any]
Kind = Literal["people", "groups"]


class Groups:
    """The groups of one platform, over `http`. Records are the JSON shapes of the API."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def groups(self, *, role: str, everybodys: bool = False) -> list[Record]:
        """Return the groups in which we are member, admin or owner, or all of them for an administrator."""
        return self._http.get(f"{_BASE}/groups", role=role, all="true" if everybodys else None)

    def group(self, name: str) -> Record:
        """Return one group with all that is in it."""
        return self._http.get(_path(name))

    def create(self, name: str, *, description: str, join: bool) -> Record:
        """Make a group of ours; with `join`, we are its first member."""
        body = {"name": name, "description": description, "join": join}
        return self._http.post(f"{_BASE}/groups", body)

    def describe(self, name: str, description: str) -> Record:
        """Change the description."""
        return self._http.patch(_path(name), {"description": description})

    def delete(self, name: str) -> None:
        """Delete a group."""
        self._http.delete(_path(name))

    def put(self, name: str, place: str, kind: Kind, who: str) -> None:
        """Put a person or a group among the `members` or `admins`."""
        self._http.put(f"{_path(name)}/{place}/{kind}/{quote(who, safe='')}", {})

    def drop(self, name: str, place: str, kind: Kind, who: str) -> None:
        """Take a person or a group out of the `members` or `admins`."""
        self._http.delete(f"{_path(name)}/{place}/{kind}/{quote(who, safe='')}")

    def invite(self, name: str, *, place: str, days: int, uses: int | None) -> Record:
        """Make a link into a group; the record has its `path`, which is shown this once."""
        return self._http.post(f"{_path(name)}/invitations", {"place": place, "days": days, "uses": uses})

    def invitations(self, name: str) -> list[Record]:
        """Return the links into a group that can still be used."""
        return self._http.get(f"{_path(name)}/invitations")

    def take_back(self, name: str, invitation: str) -> None:
        """Make a link lead nowhere."""
        self._http.delete(f"{_path(name)}/invitations/{quote(invitation, safe='')}")

    def accept(self, secret: str) -> Record:
        """Come into the group of a link."""
        return self._http.post(f"{_BASE}/invitations/accept", {"secret": secret})


class Certificates:
    """Our client certificates, over `http`."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def certificates(self) -> list[Record]:
        """Return our certificates, newest first."""
        return self._http.get(f"{_BASE}/certificates")

    def revoke(self, serial: str | None) -> None:
        """Revoke one certificate, or all."""
        path = f"{_BASE}/certificates"
        self._http.delete(path if serial is None else f"{path}/{quote(serial, safe='')}")


def _path(name: str) -> str:
    return f"{_BASE}/groups/{quote(name, safe='')}"
