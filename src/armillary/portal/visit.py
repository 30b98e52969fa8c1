"""One visit: who it is, in which project and language, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from armillary.accounts.cookies import own_cookie
from armillary.accounts.model import Membership, Person, Principal, Project, Role
from armillary.base.errors import ArmillaryError, Forbidden, NotFound
from armillary.notices.announcements import Announcement
from armillary.portal import i18n
from armillary.portal.rendering import Renderer

WEEK = 7 * 86400
THEMES = ("light", "dark")
THEME_COOKIE = "armillary_theme"


class SignInNeeded(Exception):
    """The page is for people who are signed in; they are sent to the form and come back after."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A request with everything that a page needs to answer it."""

    request: Request
    renderer: Renderer
    locale: str
    nonce: str
    csrf: str
    principal: Principal | None = None
    memberships: Sequence[Membership] = ()
    membership: Membership | None = None
    """The project that the visitor works in now; None for people without one."""
    cookies: Mapping[str, str] = field(default_factory=dict[str, str])
    """To be set with the answer."""
    unread: Callable[[], int] = int
    """How many notices the visitor has not read; looked up only by whole pages."""
    announcements: Callable[[], Sequence[Announcement]] = tuple
    """What everybody is told now."""

    def gettext(self, message: str, **values: object) -> str:
        """Translate, then fill in `%(name)s`."""
        return i18n.translations(self.locale).gettext(message) % values

    @property
    def theme(self) -> str:
        """The colours that were chosen: `light` or `dark`; empty for those of the visitor's system."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else ""

    @property
    def address(self) -> str:
        """The path and query that open this page as it is, in the same project, for whoever may see it.

        A page that answers a form is reached by the address of the form.
        """
        query = [(k, v) for k, v in self.request.query_params.multi_items() if k not in ("notice", "project")]
        if self.membership and len(self.memberships) > 1:
            query.append(("project", self.membership.project.name))
        path = "/" + quote(self.request.scope["path"].lstrip("/"))
        return f"{path}?{urlencode(query)}" if query else path

    @property
    def who(self) -> Principal:
        """Who asks, for the services.

        Raises:
            SignInNeeded: nobody is signed in.
        """
        if self.principal is None:
            raise SignInNeeded
        return self.principal

    @property
    def person(self) -> Person:
        """Who is signed in.

        Raises:
            SignInNeeded: nobody is.
        """
        return self.who.person

    @property
    def project(self) -> Project:
        """The project that the visitor works in.

        Raises:
            SignInNeeded: nobody is signed in.
            Forbidden: there is none yet.
        """
        if self.principal is None:
            raise SignInNeeded
        if self.membership is None:
            raise Forbidden(
                "You have no project yet.",
                code="no_project",
                remedy="Ask for a project, and wait until it is approved.",
            )
        return self.membership.project

    def member(self) -> Project:
        """Return the project, if the visitor may change things in it.

        Raises:
            Forbidden: a reader only looks.
        """
        project = self.project
        if self.membership and self.membership.role is Role.READER:
            raise Forbidden(
                "As a reader of this project you may look, and not change anything.",
                code="reader_only",
                facts={"project": project.name},
                remedy="Ask an administrator of the project to make you a member.",
            )
        return project

    def need_admin(self) -> Person:
        """Return who is signed in, if they administer the platform; to others the page does not exist."""
        if not self.person.is_admin:
            raise NotFound("There is no such page.", code="page_not_found")
        return self.person

    def page(self, template: str, /, *, status: int = 200, **values: Any) -> Response:
        """Answer with a page, or with a part of one when htmx asks."""
        html = self.renderer.render(self.locale, template, visit=self, **values)
        error = values.get("error")
        wait = error.facts.get("retry_after") if isinstance(error, ArmillaryError) else None
        headers = {"Retry-After": str(wait)} if wait is not None else None
        return self._with_cookies(HTMLResponse(html, status, headers))

    def go(self, path: str, /, **query: str) -> Response:
        """Answer with the way to another page of ours; `notice` names a message to show there."""
        target = f"{path}?{urlencode(query)}" if query else path
        return self._with_cookies(RedirectResponse(target, 303))

    def leave(self, path: str, /, **query: str) -> Response:
        """Answer as `go`, also a part of a page that asked for itself: the whole page goes."""
        answer = self.go(path, **query)
        if not self.request.headers.get("hx-request"):
            return answer
        # htmx would follow by itself, and look there for the part
        return self._with_cookies(
            Response(status_code=204, headers={"hx-redirect": answer.headers["location"]})
        )

    def _with_cookies(self, response: Response) -> Response:
        for name, value in self.cookies.items():
            self.set_cookie(response, name, value, max_age=52 * WEEK)
        return response

    def set_cookie(self, response: Response, name: str, value: str, *, max_age: int) -> None:
        """Set one of our cookies: not for scripts, not sent along from other sites' forms."""
        secure = self.request.url.scheme == "https"
        response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="lax", secure=secure)

    def set_proof(self, response: Response, name: str, value: str, *, max_age: int) -> None:
        """Set a cookie that proves something, so that no page of another host name may write it: see `own_cookie`.

        It is read by `cookie_of`, and ends now with a `max_age` (seconds) of 0.
        """
        self.set_cookie(response, own_cookie(self.request, name), value, max_age=max_age)
