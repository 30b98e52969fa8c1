"""Tokens and application credentials: what they open, and when they stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from armillary.accounts.model import CloudScope, IssuedToken, Person, Project, Role, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from armillary.base.ids import PersonId, ProjectId, TokenId
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

Builder = Callable[..., Any]
Member = Callable[..., tuple[Person, Project]]
HOUR = timedelta(hours=1)


@pytest.fixture
def issue(accounts: AccountsService) -> Callable[..., IssuedToken]:
    """Issues an API token for an hour, but for what is given."""

    def make(person: Person, **changes: Any) -> IssuedToken:
        return accounts.issue_token(person.id, **{"kind": TokenKind.API, "lifetime": HOUR} | changes)

    return make


def _code(accounts: AccountsService, secret: str) -> str:
    with pytest.raises(Unauthorized) as refusal:
        accounts.check_token(secret)
    return refusal.value.code


def test_a_token_says_who_bears_it_where_and_within_which_limits(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    ada, project = a_member()
    issued = issue(ada, project_id=project.id, scopes=frozenset({"vospace:read"}), label="laptop")
    principal = accounts.check_token(issued.secret)
    assert (principal.person, principal.project) == (ada, project)
    assert principal.roles == Role.ADMIN.implied
    assert principal.allows("vospace:read") and not principal.allows("vospace:write")
    assert principal.token is not None and principal.token.label == "laptop"


@pytest.mark.parametrize("secret", ["", "x", "arm_", "\ud800", "\0", "é" * 10_000])
def test_an_unknown_token_is_refused(accounts: AccountsService, secret: str) -> None:
    assert _code(accounts, secret) == "unknown_token"


def test_a_door_opens_only_to_the_kinds_that_it_names(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    secret = issue(a_member()[0], kind=TokenKind.JOB).secret
    accounts.check_token(secret, kinds=frozenset({TokenKind.API, TokenKind.JOB}))
    with pytest.raises(Unauthorized) as refusal:
        accounts.check_token(secret, kinds=frozenset({TokenKind.SESSION}))
    assert refusal.value.code == "wrong_token_kind"


def test_a_token_ends_with_its_lifetime(
    accounts: AccountsService, a_member: Member, issue: Builder, clock: VirtualClock
) -> None:
    secret = issue(a_member()[0]).secret
    clock.advance(HOUR - timedelta(seconds=1))
    accounts.check_token(secret)
    clock.advance(timedelta(seconds=1))
    assert _code(accounts, secret) == "token_expired"


def test_a_revoked_token_is_dead_and_only_its_person_can_revoke_it(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    ada, eve = a_member()[0], a_member("eve", "spies")[0]
    issued = issue(ada)
    with pytest.raises(NotFound):
        accounts.revoke_token(eve.id, issued.token.id)
    accounts.check_token(issued.secret)
    accounts.revoke_token(ada.id, issued.token.id)
    accounts.revoke_token(ada.id, issued.token.id)
    assert _code(accounts, issued.secret) == "token_revoked"
    with pytest.raises(NotFound):
        accounts.revoke_token(ada.id, TokenId("nope"))


def test_signing_out_twice_does_no_harm(accounts: AccountsService, a_member: Member, issue: Builder) -> None:
    secret = issue(a_member()[0]).secret
    accounts.revoke_secret(secret)
    accounts.revoke_secret(secret)
    accounts.revoke_secret("unknown")
    assert _code(accounts, secret) == "token_revoked"


def test_a_token_stops_when_its_bearer_leaves_the_project(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    _, project = a_member()
    bob, _ = a_member("bob", "m31")
    accounts.set_role(project.id, bob.id, Role.READER)
    secret = issue(bob, project_id=project.id).secret
    assert accounts.check_token(secret).roles == {Role.READER}
    accounts.set_role(project.id, bob.id, Role.MEMBER)
    assert accounts.check_token(secret).roles == Role.MEMBER.implied
    accounts.remove_member(project.id, bob.id)
    assert _code(accounts, secret) == "project_closed"


def test_a_token_stops_when_its_person_or_project_is_switched_off_or_gone(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    ada, project = a_member()
    secret = issue(ada, project_id=project.id).secret
    accounts.update_project(project.id, enabled=False)
    assert _code(accounts, secret) == "project_closed"
    accounts.update_project(project.id, enabled=True)
    accounts.update_person(ada.id, enabled=False)
    assert _code(accounts, secret) == "person_disabled"
    accounts.update_person(ada.id, enabled=True)
    accounts.check_token(secret)
    accounts.delete_person(ada.id)
    assert _code(accounts, secret) == "unknown_token"


def test_no_token_is_issued_for_a_foreign_project(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    _, project = a_member()
    eve, _ = a_member("eve", "spies")
    with pytest.raises(Forbidden):
        issue(eve, project_id=project.id)
    with pytest.raises(NotFound):
        issue(eve, project_id=ProjectId("nope"))
    with pytest.raises(NotFound):
        accounts.issue_token(PersonId("nope"), kind=TokenKind.API, lifetime=HOUR)
    with pytest.raises(Forbidden):
        accounts.principal(eve.id, project.id)


@pytest.mark.parametrize(
    "wishes",
    [
        {"lifetime": timedelta()},
        {"lifetime": timedelta(days=-1)},
        {"lifetime": timedelta(days=4000)},
        {"label": "x" * 201},
        {"label": "bell\a"},
        {"scopes": frozenset({"two words"})},
    ],
)
def test_senseless_tokens_are_not_issued(
    accounts: AccountsService, a_member: Member, issue: Builder, wishes: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        issue(a_member()[0], **wishes)


def test_the_last_use_is_noted_at_most_once_a_minute(
    accounts: AccountsService, a_member: Member, issue: Builder, clock: VirtualClock
) -> None:
    ada, _ = a_member()
    issued = issue(ada)

    def last_used() -> Any:
        return next(t.last_used_at for t in accounts.tokens_of(ada.id) if t.id == issued.token.id)

    first = clock.now()
    accounts.check_token(issued.secret)
    assert last_used() == first
    clock.advance(timedelta(seconds=59))
    accounts.check_token(issued.secret)
    assert last_used() == first
    clock.advance(timedelta(seconds=1))
    accounts.check_token(issued.secret)
    assert last_used() == clock.now()


def test_ended_tokens_are_swept_after_a_week(
    accounts: AccountsService, a_member: Member, issue: Builder, clock: VirtualClock
) -> None:
    ada, _ = a_member()
    issue(ada)
    revoked = issue(ada, lifetime=timedelta(days=300))
    accounts.revoke_token(ada.id, revoked.token.id)
    kept = issue(ada, lifetime=timedelta(days=300))
    clock.advance(timedelta(days=8))
    assert accounts.sweep_tokens() == 2
    assert [token.id for token in accounts.tokens_of(ada.id)] == [kept.token.id]


def test_an_administrator_is_administrator_in_every_project(
    accounts: AccountsService, admin: Person, a_member: Member, issue: Builder
) -> None:
    _, project = a_member()
    principal = accounts.check_token(issue(admin, project_id=project.id).secret)
    assert principal.roles == Role.CLOUD_ADMIN.implied and principal.person.is_admin


def test_a_limited_token_of_an_administrator_is_not_an_administrators(
    accounts: AccountsService, admin: Person, a_member: Member, issue: Builder
) -> None:
    _, project = a_member()
    for limits in ({"roles": frozenset({Role.READER})}, {"kind": TokenKind.JOB}):
        principal = accounts.check_token(issue(admin, project_id=project.id, **limits).secret)
        assert not principal.person.is_admin
    reader = issue(admin, project_id=project.id, roles=frozenset({Role.READER}))
    assert not accounts.check_token(reader.secret).has(Role.MEMBER)


def test_who_administers_clouds_by_role_does_so_in_that_scope_without_limits_and_until_it_is_taken(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    ada, project = a_member()
    accounts.grant(project.id, ada.id, Role.CLOUD_ADMIN)
    whole = issue(ada, project_id=project.id)
    principal = accounts.check_token(whole.secret)
    assert principal.is_cloud_admin and not principal.person.is_admin
    for limits in (
        {"roles": frozenset({Role.READER}), "project_id": project.id},
        {"kind": TokenKind.JOB, "project_id": project.id},
        {},
    ):
        assert not accounts.check_token(issue(ada, **limits).secret).is_cloud_admin
    accounts.grant_cloud_role(CloudScope.SYSTEM, ada.id, Role.READER)
    system = accounts.check_token(issue(ada, cloud_scope=CloudScope.SYSTEM).secret)
    assert (system.project, system.roles, system.is_cloud_admin) == (None, {Role.READER}, False)
    with pytest.raises(Forbidden):
        issue(ada, cloud_scope=CloudScope.DOMAIN)
    accounts.revoke_grant(project.id, ada.id, Role.CLOUD_ADMIN)
    assert not accounts.check_token(whole.secret).is_cloud_admin


def test_an_application_credential_signs_in_for_its_project_only(
    accounts: AccountsService, a_member: Member
) -> None:
    ada, project = a_member()
    credential, secret = accounts.create_application_credential(ada.id, project.id, name="cron")
    for way in (
        {"id": credential.id},
        {"name": "cron", "user_name": "ada"},
        {"name": "cron", "user_id": ada.id},
    ):
        principal = accounts.authenticate_application_credential(**way, secret=secret)
        assert (principal.person, principal.project) == (ada, project)
        assert principal.method == "application_credential"


@pytest.mark.parametrize(
    "way",
    [
        {"id": "nope"},
        {"id": "\ud800"},
        {"name": "cron"},
        {"name": "cron", "user_name": "nobody"},
        {"name": "other", "user_name": "ada"},
        {},
    ],
)
def test_an_unknown_credential_is_refused(
    accounts: AccountsService, a_member: Member, way: dict[str, str]
) -> None:
    ada, project = a_member()
    _, secret = accounts.create_application_credential(ada.id, project.id, name="cron")
    with pytest.raises(Unauthorized):
        accounts.authenticate_application_credential(**way, secret=secret)


def test_a_wrong_secret_is_refused_and_a_chosen_one_works(
    accounts: AccountsService, a_member: Member
) -> None:
    ada, project = a_member()
    made, _ = accounts.create_application_credential(ada.id, project.id, name="made")
    chosen, secret = accounts.create_application_credential(
        ada.id, project.id, name="chosen", secret="my own ☂"
    )
    assert secret == "my own ☂"
    accounts.authenticate_application_credential(id=chosen.id, secret="my own ☂")
    for credential in (made, chosen):
        for wrong in ("", "wrong", "\ud800"):
            with pytest.raises(Unauthorized):
                accounts.authenticate_application_credential(id=credential.id, secret=wrong)


def test_a_credential_ends_with_its_date_its_role_its_person_or_by_deletion(
    accounts: AccountsService, a_member: Member, clock: VirtualClock
) -> None:
    _, project = a_member()
    bob, _ = a_member("bob", "m31")
    accounts.set_role(project.id, bob.id, Role.MEMBER)
    dated, dated_secret = accounts.create_application_credential(
        bob.id, project.id, name="dated", expires_at=clock.now() + HOUR
    )
    lasting, secret = accounts.create_application_credential(bob.id, project.id, name="lasting")
    clock.advance(HOUR)
    with pytest.raises(Unauthorized):
        accounts.authenticate_application_credential(id=dated.id, secret=dated_secret)
    accounts.set_role(project.id, bob.id, Role.READER)
    assert accounts.authenticate_application_credential(id=lasting.id, secret=secret).roles == {Role.READER}
    accounts.remove_member(project.id, bob.id)
    with pytest.raises(Unauthorized):
        accounts.authenticate_application_credential(id=lasting.id, secret=secret)
    accounts.set_role(project.id, bob.id, Role.READER)
    accounts.delete_application_credential(bob.id, lasting.id)
    with pytest.raises(Unauthorized):
        accounts.authenticate_application_credential(id=lasting.id, secret=secret)


def test_tokens_made_from_a_credential_go_with_it(
    accounts: AccountsService, a_member: Member, issue: Builder
) -> None:
    ada, project = a_member()
    credential, _ = accounts.create_application_credential(ada.id, project.id, name="cron")
    issued = issue(ada, project_id=project.id, credential_id=credential.id)
    assert accounts.check_token(issued.secret).facts == {"credential_id": credential.id}
    accounts.delete_application_credential(ada.id, credential.id)
    assert _code(accounts, issued.secret) == "unknown_token"


def test_credentials_are_made_within_ones_own_rights(accounts: AccountsService, a_member: Member) -> None:
    _, project = a_member()
    bob, _ = a_member("bob", "m31")
    with pytest.raises(Forbidden):
        accounts.create_application_credential(bob.id, project.id, name="x")
    accounts.set_role(project.id, bob.id, Role.READER)
    with pytest.raises(Invalid) as refusal:
        accounts.create_application_credential(
            bob.id, project.id, name="x", roles=frozenset({Role.READER, Role.MEMBER})
        )
    assert refusal.value.facts["missing"] == ["member"]


def test_credential_names_are_ones_own_and_unique(accounts: AccountsService, a_member: Member) -> None:
    ada, project = a_member()
    bob, other = a_member("bob", "m31")
    credential, _ = accounts.create_application_credential(ada.id, project.id, name="cron")
    accounts.create_application_credential(bob.id, other.id, name="cron")
    with pytest.raises(Conflict):
        accounts.create_application_credential(ada.id, project.id, name="cron")
    with pytest.raises(NotFound):
        accounts.delete_application_credential(bob.id, credential.id)
    assert accounts.application_credentials_of(ada.id) == [credential]


@pytest.mark.parametrize(
    "bad", [{"name": ""}, {"name": "x" * 256}, {"name": "\0"}, {"description": "x" * 3000}]
)
def test_bad_credential_fields_are_named(
    accounts: AccountsService, a_member: Member, bad: dict[str, str]
) -> None:
    ada, project = a_member()
    with pytest.raises(Invalid) as refusal:
        accounts.create_application_credential(ada.id, project.id, **{"name": "cron"} | bad)
    assert refusal.value.facts["field"] == next(iter(bad))
