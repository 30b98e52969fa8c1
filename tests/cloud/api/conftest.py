"""The world in which the policy and the documents of the services are tried."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from policy_world import FOREIGN, OWN, World, group_with, persons_things, things_by, things_of

from armillary.accounts.model import CloudScope, Role, TokenKind

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def world(common_stage: Any, common_member_of: Callable[..., Any]) -> World:
    accounts = common_stage.accounts
    people = {
        "reader": common_member_of("m51", "rex", role=Role.READER),
        "member": common_member_of("m51", "ada"),
        "manager": common_member_of("m51", "mae", role=Role.MANAGER),
        "unscoped": common_member_of("m51", "ida"),
        "auditor": common_member_of("m51", "cato"),
        "admin": common_member_of("m51", "grace"),
        "stranger": common_member_of("ngc253", "bob"),
        "victim": common_member_of("m101", "eve"),
    }
    accounts.grant_cloud_role(CloudScope.SYSTEM, people["auditor"].person.id, Role.READER)
    victim = people["victim"]
    accounts.grant(victim.project.id, victim.person.id, Role.READER)
    for scope in CloudScope:
        accounts.grant_cloud_role(scope, victim.person.id, Role.READER)
    persons = {role: persons_things(user) for role, user in people.items()}
    accounts.update_person(people["admin"].person.id, is_admin=True)
    things = {
        whose: {**things_of(user), **things_by(people["admin"], user.project.id)}
        for whose, user in ((OWN, people["member"]), (FOREIGN, people["stranger"]))
    }

    some = group_with(people["admin"], victim, things[OWN]["role_id"])
    things = {whose: {**ids, "identity:group_id": some} for whose, ids in things.items()}

    def token(role: str, **scope: Any) -> str:
        who = people[role].person.id
        return accounts.issue_token(who, kind=TokenKind.KEYSTONE, lifetime=DAY, **scope).secret

    secrets = {role: people[role].token for role in ("reader", "member", "manager", "admin")}
    secrets |= {"unscoped": token("unscoped"), "auditor": token("auditor", cloud_scope=CloudScope.SYSTEM)}
    return World(app=common_stage.cloud.app, secrets=secrets, things=things, persons=persons)
