"""The policy, row by row: each endpoint by each role, for what is one's own and for what is another project's."""

from __future__ import annotations

import html
from collections.abc import Callable
from importlib import import_module

import pytest
from anyio.from_thread import start_blocking_portal
from policy_world import FOREIGN, OWN, ROLES, World, may

from armillary.cloud.api.policy.gate import WORDS
from armillary.cloud.api.policy.rows import Least, Row

SERVICES = ["identity", "image", "compute", "network", "volume"]
NOT_THERE = {
    "* /{rest:path}": "the page of what is not there",
    "GET /v2/tasks/{task_id}": "imports leave no tasks",
    "GET /v2.1/servers/{server_id}/migrations/{migration_id}": "there is nowhere to go",
    "GET /v3/{project_id}/messages/{message_id}": "nothing has failed",
    "GET /v3/{project_id}/types/{type_id}/encryption/{key}": "nothing is encrypted",
    **{
        f"GET /v3/{{project_id}}/{name}/{{item_id}}": "such things are not made here"
        for name in (
            "consistencygroups", "cgsnapshots", "group_types", "groups", "group_snapshots", "manageable_volumes",
            "manageable_snapshots",
        )
    },
}  # fmt: skip
"""Rows that answer 404 to everybody who may ask."""
NOT_SO_SIMPLE = {
    "GET /v3/{project_id}/backups/{backup_id}/export_record": "records cannot leave the cloud",
    "GET /v3/{project_id}/qos-specs/{qos_id}/associate": "the query names a type",
    "GET /v3/{project_id}/qos-specs/{qos_id}/disassociate": "the query names a type",
}
"""Rows that answer 400 to everybody who may ask so."""
MORE_THAN_A_ROLE = {
    "GET /v3/auth/catalog": ({"unscoped", "auditor"}, "a token for no project has no catalog"),
    "GET /v3/projects/{project_id}": ({"unscoped"}, "the project of the token is asked for"),
    "GET /v3/projects/{project_id}/tags": ({"unscoped"}, "the project of the token is asked for"),
    "GET /v3/projects/{project_id}/tags/{tag}": ({"unscoped"}, "the project of the token is asked for"),
    "POST /v3/users/{user_id}/password": (
        set(ROLES),
        "the old password is asked for, which is not known here",
    ),
    "POST /v3/domains": ({"admin"}, "there is one domain"),
    "GET /v2.1/flavors/{flavor_id}": ({"unscoped", "auditor"}, "a private flavor is for projects"),
    "PUT /v2/images/{image_id}/members/{member_id}": (
        {"member", "manager"},
        "it is for whom the image is offered to",
    ),
}
"""What is refused to some by more than their role."""
NAMED_IN_THE_QUERY = {"GET /v2.1/os-keypairs/{name}": "whose keypair an administrator means"}


def the_rows(service: str) -> tuple[Row, ...]:
    return import_module(f"armillary.cloud.api.policy.{service}").ROWS


def the_name(row: Row) -> str:
    return f"{row.method} {row.path} {row.action}".strip()


def is_fixed(row: Row) -> bool:
    """Whether not even an administrator may: such as roles, which are what they are."""
    return row.least is Least.ADMIN and "fixed" in row.says


def sees(name: str) -> bool:
    """Whether the request that the tests make of a row shows something."""
    return name not in NOT_THERE and name not in NOT_SO_SIMPLE


def reads(row: Row) -> bool:
    return row.method in ("GET", "*")


def answers(
    world: World, service: str, role: str, whose: str, wanted: Callable[[Row], bool]
) -> dict[str, tuple[int, str]]:
    """What the service answers to the requests of the wanted rows, in the order of the table."""

    async def all_of_them() -> dict[str, tuple[int, str]]:
        return {
            the_name(row): await world.ask(service, row, role, whose)
            for row in the_rows(service)
            if wanted(row)
            and not is_fixed(row)
            and role not in MORE_THAN_A_ROLE.get(the_name(row), ((), ""))[0]
        }

    # In a thread of its own: a browser test in this process leaves its loop running in ours.
    with start_blocking_portal() as portal:
        return portal.call(all_of_them)


def wrong(found: dict[str, tuple[int, str]], good: Callable[[str, int, str], bool]) -> str:
    """The answers that are not good, a line each."""
    return "\n".join(
        f"{name}: {status} {text[:300]}"
        for name, (status, text) in found.items()
        if not good(name, status, text)
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("service", SERVICES)
def test_who_may_look_sees(world, service, role):
    found = answers(world, service, role, OWN, lambda row: reads(row) and may(row, role))
    gone = {the_name(row) for row in the_rows(service) if row.says == "gone"}
    amiss = wrong(
        found, lambda name, status, _: status == 410 if name in gone else (status <= 300) == sees(name)
    )
    assert not amiss, amiss


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("service", SERVICES)
def test_who_may_not_is_refused_in_the_service_s_words(world, service, role):
    said = {the_name(row): WORDS[service].format(rule=row.rule) for row in the_rows(service)}
    found = answers(world, service, role, OWN, lambda row: not may(row, role))
    amiss = wrong(found, lambda name, status, text: status == 403 and said[name] in html.unescape(text))
    assert not amiss, amiss


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_passes_without_a_token(world, service):
    found = answers(world, service, "nobody", OWN, lambda row: not may(row, "nobody"))
    amiss = wrong(found, lambda _name, status, _: status == 401)
    assert found
    assert not amiss, amiss


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
@pytest.mark.parametrize("service", SERVICES)
def test_what_is_another_project_s_is_not_to_be_had(world, service, role):
    foreign = {the_name(row): row.foreign for row in the_rows(service)}
    found = answers(world, service, role, FOREIGN, lambda row: bool(row.foreign) and may(row, role))
    amiss = wrong(found, lambda name, status, _: status == foreign[name])
    assert not amiss, amiss


@pytest.mark.parametrize("service", SERVICES)
def test_an_administrator_sees_what_is_another_project_s(world, service):
    found = answers(world, service, "admin", FOREIGN, lambda row: bool(row.foreign) and reads(row))
    amiss = wrong(
        found, lambda name, status, _: (status <= 300) == (sees(name) and name not in NAMED_IN_THE_QUERY)
    )
    assert not amiss, amiss


# what changes and deletes things comes last


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("service", SERVICES)
def test_who_may_write_is_let_through(world, service, role):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        found = answers(
            world, service, role, OWN, lambda row, method=method: row.method == method and may(row, role)
        )
        amiss = wrong(found, lambda _name, status, _: status not in (401, 403))
        assert not amiss, amiss
