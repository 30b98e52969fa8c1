"""How a command reaches the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from armillary.cli.completing import complete_projects
from armillary.cli.words import context, option
from armillary.client.config import Config, load
from armillary.client.errors import ClientError

if TYPE_CHECKING:
    import httpx2

    from armillary.client.http import Armillary


@dataclass(frozen=True, kw_only=True)
class Wires:
    """What a program that embeds the commands may replace: how bytes travel."""

    transport: httpx2.BaseTransport | None = None


def connect(*, config: Config | None = None, signed_in: bool = True) -> Armillary:
    """Return a connection with the person's token. Raises ClientError `not_signed_in`."""
    from armillary.client.http import Armillary

    config = config or load()
    if signed_in and not config.token:
        raise ClientError(
            "you are not signed in", code="not_signed_in", answered=401, remedy="Sign in: armillary login"
        )
    wires = context().find_object(Wires) or Wires()
    token = config.token if signed_in else None
    return Armillary(url=config.url, token=token, ca_file=config.ca, transport=wires.transport)


def choose_project(http: Armillary, given: str | None) -> str:
    """Return the project that is meant: the one given, the default one, or the only one."""
    from armillary.client.accounts import Accounts

    chosen = given or load().project
    if chosen:
        return chosen
    names = [project["name"] for project in Accounts(http=http).projects()]
    if len(names) == 1:
        return names[0]
    if not names:
        raise ClientError(
            "you have no project yet",
            code="no_project",
            answered=400,
            remedy="See how your request stands: armillary application",
        )
    raise ClientError(
        f"you have several projects: {', '.join(names)}",
        code="project_ambiguous",
        answered=400,
        remedy="Choose with --project NAME, or for good: armillary project use NAME",
    )


def project_option(command: Any) -> Any:
    """Give a command the option `--project`."""
    return option(
        "--project",
        metavar="NAME",
        shell_complete=complete_projects,
        help="The project; else the default, or your only one.",
    )(command)
