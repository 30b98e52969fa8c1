"""The commands in the pages are commands: ours parse, and the stock clients' are those that the demo runs."""

from __future__ import annotations

import click
import pytest
from command_lines import PAGES, ROOT, blocks, of_the_demo, spans, verb

from armillary.app.main import COMMANDS as DAEMON
from armillary.cli.canfar_submit import canfar_submit
from armillary.cli.main import COMMANDS, LazyGroup

TUTORIAL = ROOT / "docs" / "tutorial.md"
CLI = LazyGroup(name="armillary", lazy={**COMMANDS, **DAEMON})
STOCK = {"openstack", "vls", "vcp", "vmkdir", "cadc-get-cert", "ssh-keygen"}
LOOKS = {"openstack keypair list", "openstack server list", "openstack server show", "openstack server start",
         "openstack port list", "openstack image list", "openstack image set", "openstack floating ip list"}  # fmt: skip
"""What the demo runs only to go on from where an earlier run ended."""


def resolve(words: list[str]) -> tuple[click.Context, list[str]]:
    """The command that words name, in its context, and the words that are left for it."""
    program = words[0].removeprefix("./")
    command: click.Command = CLI if program == "armillary" else canfar_submit
    context, rest = click.Context(command, info_name=program), words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            break
        command, context = found, click.Context(found, parent=context, info_name=rest[0])
        rest = rest[1:]
    return context, rest


def options(context: click.Context) -> set[str]:
    known = {name for one in context.command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
    return known | {"--help"}


def ours(words: list[str]) -> bool:
    return words[0].removeprefix("./") in {"armillary", "canfar_submit"}


def shown(words: list[str]) -> str:
    return " ".join(words)


LINES = [
    pytest.param(words, id=f"{page.stem}: {shown(words)[:60]}")
    for page in PAGES
    for words in blocks(page)
    if ours(words)
]
MENTIONS = [
    pytest.param(words, id=f"{page.stem}: {shown(words)[:60]}") for page in PAGES for words in spans(page)
]


@pytest.mark.parametrize("words", LINES)
def test_a_command_line_of_a_page_parses(words: list[str]):
    context, rest = resolve(words)
    command = context.command
    assert not isinstance(command, click.Group) or command.invoke_without_command, "a command is missing"
    given, left, _ = command.make_parser(context).parse_args(list(rest))
    assert not left
    missing = [one.name for one in command.params if one.required and given.get(one.name or "") is None]
    assert not missing
    for one in command.params:
        value = given.get(one.name or "")
        if isinstance(one.type, click.Choice) and value:
            for each in value if isinstance(value, list) else [value]:
                assert each in one.type.choices


@pytest.mark.parametrize("words", MENTIONS)
def test_a_command_that_a_page_mentions_is_there(words: list[str]):
    context, rest = resolve(words)
    if isinstance(context.command, click.Group) and rest and not rest[0].startswith(("-", "…")):
        assert rest[0].isupper() or context.command.invoke_without_command or "|" in rest[0], rest[0]
    for name in (word.partition("=")[0] for word in rest if word.startswith("-")):
        assert name in options(context), f"{context.command_path} has no {name}"


def test_the_tutorial_walks_the_path_of_the_demo():
    typed = {verb(words) for words in blocks(TUTORIAL) if words[0] in STOCK}
    run = {verb(words) for words in of_the_demo() if words[0] in STOCK}
    assert typed <= run, "the tutorial has a command that the demo does not try"
    assert run - typed <= LOOKS, "the demo has a step that the tutorial leaves out"


def test_the_tutorial_has_every_command_of_ours_that_the_demo_runs():
    def paths(lines: list[list[str]]) -> set[str]:
        return {resolve(words)[0].command_path for words in lines if words[0] == "armillary"}

    assert paths(list(of_the_demo())) <= paths(list(blocks(TUTORIAL)))
