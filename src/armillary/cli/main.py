"""The `armillary` command group. Each command's module is imported when that command is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, cast

import rich_click as click

from armillary.base.errors import ArmillaryError, Forbidden, Invalid, Unauthorized
from armillary.cli.output import show_error

COMMANDS = {
    "login": "armillary.cli.signing_in:login",
    "logout": "armillary.cli.signing_in:logout",
    "password": "armillary.cli.signing_in:password",
    "register": "armillary.cli.applying:register",
    "application": "armillary.cli.applying:application",
    "admin": "armillary.cli.administration:admin",
    "notices": "armillary.cli.notices:notices",
    "project": "armillary.cli.projects:project",
    "group": "armillary.cli.groups:group",
    "share": "armillary.cli.sharing:share",
    "token": "armillary.cli.tokens:token",
    "cert": "armillary.cli.certificates:cert",
    "submit": "armillary.cli.submitting:submit",
    "queue": "armillary.cli.queueing:queue",
    "jobs": "armillary.cli.queueing:jobs",
    "history": "armillary.cli.queueing:history",
    "watch": "armillary.cli.watching:watch",
    "logs": "armillary.cli.reading_logs:logs",
    "ssh": "armillary.cli.inside:ssh",
    "hold": "armillary.cli.changing:hold",
    "release": "armillary.cli.changing:release",
    "remove": "armillary.cli.changing:remove",
    "retry": "armillary.cli.changing:retry",
    "priority": "armillary.cli.changing:priority",
    "explain": "armillary.cli.jobs:explain",
    "why": "armillary.cli.why:why",
    "clouds": "armillary.cli.images:clouds",
    "job": "armillary.cli.jobs:job",
    "condor": "armillary.cli.condor.main:condor",
    "workers": "armillary.cli.jobs:workers",
    "fetch": "armillary.cli.fetching:fetch",
    "usage": "armillary.cli.usage:usage",
    "image": "armillary.cli.images:image",
    "export": "armillary.cli.crates:export",
    "verify": "armillary.cli.crates:verify",
    "import": "armillary.cli.crates:bring",
    "freeze": "armillary.cli.freezing:freeze",
    "unfreeze": "armillary.cli.freezing:unfreeze",
    "cite": "armillary.cli.freezing:cite",
    "rerun": "armillary.cli.rerunning:rerun",
    "compare": "armillary.cli.rerunning:compare",
    "machine": "armillary.cli.machine:machine",
    "console": "armillary.cli.browsing:console",
    "jupyter": "armillary.cli.browsing:jupyter",
    "volume": "armillary.cli.places:volume",
    "network": "armillary.cli.places:network",
    "completion": "armillary.cli.completion:completion",
}

_version: Any = cast("Any", click).version_option(package_name="armillary")
FAILED, USAGE, UNREACHABLE, DENIED, INTERRUPTED = 1, 2, 3, 4, 130


class LazyGroup(click.RichGroup):
    """A group that knows its commands by name and imports them on use, and that shows refusals without a traceback."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = dict(lazy or {})

    def add_lazy(self, commands: Mapping[str, str]) -> None:
        """Add commands as name → `module:attribute`; a name that is there already is replaced."""
        self._lazy.update(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ArmillaryError as error:
            show_error(error)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            click.echo("", err=True)
            ctx.exit(INTERRUPTED)


def exit_code(error: ArmillaryError) -> int:
    """Return the exit status that tells a script what kind of refusal this is."""
    answered: int = getattr(error, "answered", error.status)
    if answered == 0:
        return UNREACHABLE
    if answered in {Unauthorized.status, Forbidden.status}:
        return DENIED
    return USAGE if isinstance(error, Invalid) else FAILED


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@_version
def cli() -> None:
    """A research cloud for astronomers: one machine image, many clouds, results in VOSpace.

    Exit status: 0 done; 1 the platform refused, or jobs failed; 2 wrong usage or a submit file that cannot be read;
    3 no answer from the platform; 4 not signed in, or not allowed; 130 interrupted.
    """


def main() -> None:
    """Run the command line as a program."""
    cli.main(args=sys.argv[1:], prog_name="armillary")
