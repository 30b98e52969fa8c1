"""What a page says to type is a command of ours, with options and arguments that it has; and links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import click
import pytest
from batch_desk import BatchDesk
from crawling import command_lines, crawl
from furnishing import furnish
from portal_visitor import Browser

import armillary.portal
from armillary.accounts.model import Project
from armillary.accounts.service import AccountsService
from armillary.app.main import COMMANDS as DAEMON
from armillary.cli.main import COMMANDS, LazyGroup
from armillary.fleet.fake import FakeCloud

CLI = LazyGroup(name="armillary", lazy={**COMMANDS, **DAEMON})
TEMPLATES = Path(armillary.portal.__file__).parent / "templates"
SHOWN_IN_TEMPLATES = re.compile(r'\bcommand\(\s*"((?:[^"\\]|\\.)+)"')


def parse(line: str) -> None:
    """Fail unless the command line could be run: nothing of it is missing, unknown or left over."""
    words = shlex.split(line, comments=True)
    if words[0] == "openstack":
        parse_stock(words[1:])
        return
    assert words[0] == "armillary", line
    command: click.Command = CLI
    context = click.Context(CLI, info_name="armillary")
    rest = words[1:]
    while isinstance(command, click.Group):
        if not rest:
            assert command.invoke_without_command, f"{line}: a command is missing"
            break
        found = command.get_command(context, rest[0])
        if found is None:
            assert command.invoke_without_command, f"{line}: there is no command {rest[0]}"
            break
        command, context = found, click.Context(found, parent=context, info_name=rest[0])
        rest = rest[1:]
    given, left, _ = command.make_parser(context).parse_args(list(rest))
    assert not left, f"{line}: {left} is too much"
    for one in command.params:
        value = given.get(one.name or "")
        assert not one.required or value not in (None, ()), f"{line}: {one.name} is missing"
        if isinstance(one.type, click.Choice) and value:
            assert set(value if isinstance(value, (list, tuple)) else [value]) <= set(one.type.choices), line


@cache
def stock_commands() -> Mapping[str, EntryPoint]:
    return {
        point.name: point
        for part in distributions()
        for point in part.entry_points
        if point.group.startswith("openstack.") and point.group.endswith((".v2", ".v3"))
    }


def parse_stock(words: list[str]) -> None:
    """The same for a line of the stock client, which finds its commands by their entry points."""
    known = stock_commands()
    words = words[2:] if words[0] == "--os-cloud" else words
    for end in range(len(words), 0, -1):
        if point := known.get("_".join(words[:end]).replace("-", "_")):
            parser = point.load()(None, None).get_parser(" ".join(words[:end]))
            parser.parse_args(words[end:])
            return
    pytest.fail(f"openstack has no command {' '.join(words)}")


@pytest.fixture
def lived_in(
    ada: Browser, accounts: AccountsService, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> Browser:
    """Somebody who administers the platform, too, and has a bit of everything in it."""
    accounts.update_person(accounts.person_named("ada").id, is_admin=True)
    furnish(ada, clouds=clouds, project=project, desk=desk)
    return ada


def test_every_command_line_that_is_shown_can_be_typed_and_every_link_leads_somewhere(
    lived_in: Browser,
) -> None:
    shown, broken = set[str](), list[str]()
    for address, status, page in crawl(lived_in):
        broken += [f"{address} answers {status}"] * (status != 200)
        for line in command_lines(page):
            parse(line)
            shown.add(line)
    assert not broken
    written = {
        start
        for template in TEMPLATES.rglob("*.html")
        for start in SHOWN_IN_TEMPLATES.findall(template.read_text())
    }
    for start in written:
        if not any(
            line.startswith(start) for line in shown
        ):  # on pages that this platform has no reason to show
            parse(f"{start}WORD" if start.endswith(" ") else start)


def test_a_line_that_cannot_be_typed_is_noticed() -> None:
    parse("armillary token list")
    for wrong in (
        "armillary tokens list",
        "armillary token list --colour red",
        "armillary token",
        "vcp a b",
        "openstack no such",
    ):
        with pytest.raises((AssertionError, click.UsageError, pytest.fail.Exception)):
            parse(wrong)
