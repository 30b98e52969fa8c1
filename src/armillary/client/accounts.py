"""People, projects, applications and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from armillary.client.http import Armillary

_BASE = "/api/v1/accounts"
Record = dict[str, Any]


class Accounts:
    """The accounts of one platform, over `http`. Records are the JSON shapes of the API."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def register(self, body: Mapping[str, Any]) -> Record:
        """Make an account and ask for a project; returns the application."""
        return self._http.post(f"{_BASE}/register", dict(body))

    def login(self, *, user_name: str, password: str, label: str, code: str | None = None) -> Record:
        """Trade a password, and the code of a second factor, for a token; the record has `token` and `person`."""
        body = {"user_name": user_name, "password": password, "label": label}
        if code is not None:
            body["code"] = code
        return self._http.post(f"{_BASE}/login", body)

    def change_password(self, *, old: str, new: str) -> None:
        """Set a new password; all other tokens of the person end."""
        self._http.post(f"{_BASE}/me/password", {"old_password": old, "new_password": new})

    def logout(self) -> None:
        """Revoke the token that is used now."""
        self._http.post(f"{_BASE}/logout")

    def me(self) -> Record:
        """Return who we are, with projects and applications."""
        return self._http.get(f"{_BASE}/me")

    def applications(self, *, state: str | None = None) -> list[Record]:
        """Return our applications; an administrator sees everybody's."""
        return self._http.get(f"{_BASE}/applications", state=state)

    def apply(self, *, project_name: str, requested: Mapping[str, int], reason: str) -> Record:
        """Ask for one more project."""
        body = {"project_name": project_name, "requested": dict(requested), "reason": reason}
        return self._http.post(f"{_BASE}/applications", body)

    def application(self, application_id: str) -> Record:
        """Return one application."""
        return self._http.get(f"{_BASE}/applications/{quote(application_id, safe='')}")

    def approve(self, application_id: str, *, granted: Mapping[str, int] | None) -> Record:
        """Approve, with other figures than those asked for if given."""
        path = f"{_BASE}/applications/{quote(application_id, safe='')}/approve"
        return self._http.post(path, {"granted": dict(granted) if granted else None})

    def decline(self, application_id: str, *, reason: str) -> Record:
        """Decline with a reason."""
        path = f"{_BASE}/applications/{quote(application_id, safe='')}/decline"
        return self._http.post(path, {"reason": reason})

    def reset_link(self, user_name: str) -> Record:
        """Return the `path` under which somebody sets a new password."""
        return self._http.post(f"{_BASE}/people/{quote(user_name, safe='')}/reset-link")

    def clear_second_factor(self, user_name: str) -> None:
        """Turn somebody's second factor off."""
        self._http.delete(f"{_BASE}/people/{quote(user_name, safe='')}/second-factor")

    def trail(self, *, most: int, **asked: Any) -> list[Record]:
        """Return the newest entries of the audit trail that are asked for."""
        found: list[Record] = []
        before: int | None = None
        while len(found) < most:
            told = self._http.get(
                f"{_BASE}/trail", **asked, before=before, limit=min(1000, most - len(found))
            )
            found += told["entries"]
            before = told["next"]
            if before is None:
                break
        return found

    def people(self) -> list[Record]:
        """Return everybody."""
        return self._http.get(f"{_BASE}/people")

    def change_person(self, user_name: str, **changes: bool) -> Record:
        """Switch somebody on or off (`enabled`), or make them an administrator or none (`is_admin`)."""
        return self._http.patch(f"{_BASE}/people/{quote(user_name, safe='')}", dict(changes))

    def more(self, project: str, *, requested: Mapping[str, int], reason: str) -> Record:
        """Ask for another allocation of a project; returns the application."""
        body = {"requested": dict(requested), "reason": reason}
        return self._http.post(f"{_BASE}/projects/{quote(project, safe='')}/more", body)

    def projects(self, *, everybodys: bool = False) -> list[Record]:
        """Return our projects, or all of them for an administrator."""
        return self._http.get(f"{_BASE}/projects", all="true" if everybodys else None)

    def project(self, name: str) -> Record:
        """Return one project."""
        return self._http.get(f"{_BASE}/projects/{quote(name, safe='')}")

    def change_allocation(self, project: str, allocation: Mapping[str, int]) -> Record:
        """Let a project use more, or less."""
        return self._http.put(f"{_BASE}/projects/{quote(project, safe='')}/allocation", dict(allocation))

    def members(self, project: str) -> list[Record]:
        """Return the members of a project."""
        return self._http.get(f"{_BASE}/projects/{quote(project, safe='')}/members")

    def set_member(self, project: str, user_name: str, *, role: str) -> Record:
        """Give a person a role in a project."""
        path = f"{_BASE}/projects/{quote(project, safe='')}/members/{quote(user_name, safe='')}"
        return self._http.put(path, {"role": role})

    def remove_member(self, project: str, user_name: str) -> None:
        """Take a person out of a project."""
        self._http.delete(f"{_BASE}/projects/{quote(project, safe='')}/members/{quote(user_name, safe='')}")

    def tokens(self) -> list[Record]:
        """Return our tokens, without their secrets."""
        return self._http.get(f"{_BASE}/tokens")

    def make_token(self, *, label: str, days: int, project: str | None, scopes: list[str]) -> Record:
        """Make a token; the record has its secret, which is shown this once."""
        body = {"label": label, "lifetime_days": days, "project": project, "scopes": scopes}
        return self._http.post(f"{_BASE}/tokens", body)

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token."""
        self._http.delete(f"{_BASE}/tokens/{quote(token_id, safe='')}")
