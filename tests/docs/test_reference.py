"""The reference says what the code does: pages that follow from it are up to date, and nothing is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from armillary.app import reference, reference_errors
from armillary.app.main import COMMANDS
from armillary.batch.api import agents
from armillary.cli.main import LazyGroup
from armillary.cloud.api.compute import actions, versions
from armillary.cloud.core.flavors import DEFAULT_FLAVORS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["settings.md", "errors.md", "policy.md"])
def test_a_generated_page_is_up_to_date(name: str):
    assert (DOCS / "reference" / name).read_text() == reference.pages()[name], (
        "run: python -m armillary.app.reference docs/reference"
    )


def test_codes_are_found_however_they_are_given():
    found = reference_errors.error_codes()
    assert {
        "stale_attempt",  # of a class
        "wrong_password",  # as a keyword
        "token_expired",  # through a helper
        "quota_ram",  # in a table
        "disk_full",  # of the agent
        "lost_too_often",  # of a held job
        "subnet_not_found",  # made of a word
    } <= found


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join([*path, name])
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_of_the_daemon_has_a_place_in_the_reference():
    page = (DOCS / "reference" / "command-line.md").read_text()
    for command in commands(LazyGroup(name="armillary", lazy=COMMANDS)):
        assert f"`armillary {command}`" in page


def test_every_action_on_a_server_has_a_place_in_the_reference():
    page = (DOCS / "reference" / "servers.md").read_text()
    for action in actions.NAMES:
        assert f"`{action}`" in page


def test_the_page_of_the_openstack_apis_says_what_compute_offers():
    page = (DOCS / "reference" / "openstack.md").read_text()
    for flavor in DEFAULT_FLAVORS:
        assert f"`{flavor.name}`" in page
    assert f"microversions to 2.{versions.MAXIMUM}" in page


def test_every_call_of_an_agent_has_a_place_in_its_page():
    page = (DOCS / "reference" / "agent-protocol.md").read_text()
    source = (Path(agents.__file__)).read_text()
    for method, path in re.findall(r'@routes\.(\w+)\("/(\w+)', source):
        assert f"`{method.upper()} {path}" in page


def test_every_link_between_pages_leads_somewhere():
    for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_no_page_names_a_place_on_somebody_s_machine():
    for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md")):
        assert not re.search(
            r"/work/|/root/|/home/(?!(?:ada|vera)/)[a-z]+/(?!catalogues)", page.read_text()
        ), page.name
