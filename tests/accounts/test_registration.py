"""Registration: the way in for people, and for those who try it on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from armillary.accounts.model import ApplicationState, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import ApplicationId

Builder = Callable[..., Any]


def test_a_stranger_registers_is_approved_and_administers_the_project(
    accounts: AccountsService, admin: Person, clock: VirtualClock, password: str, a_form: Builder
) -> None:
    application = accounts.register(**a_form())
    assert application.state is ApplicationState.WAITING
    assert accounts.applications(ApplicationState.WAITING) == [application]
    ada = accounts.authenticate("ada", password)
    assert accounts.applications_of(ada.id) == [application]
    assert accounts.projects_of(ada.id) == []

    clock.advance(timedelta(days=1))
    project = accounts.approve(application.id, by=admin.id)

    decided = accounts.application(application.id)
    assert (decided.state, decided.decided_at, decided.decided_by) == ("approved", clock.now(), admin.id)
    assert decided.project_id == project.id
    assert [(m.project, m.role) for m in accounts.projects_of(ada.id)] == [(project, Role.ADMIN)]
    assert accounts.groups_of(ada.id) == {"m51"}


def test_an_administrator_grants_other_figures_than_those_asked_for(
    accounts: AccountsService, admin: Person, a_form: Builder, an_allocation: Builder
) -> None:
    granted = an_allocation(cores=2, batch_cores=0)
    application = accounts.register(**a_form())
    assert accounts.approve(application.id, by=admin.id, granted=granted).allocation == granted
    decided = accounts.application(application.id)
    assert (decided.granted, decided.requested) == (granted, an_allocation())


def test_a_declined_applicant_reads_why_and_may_ask_again(
    accounts: AccountsService, admin: Person, a_form: Builder, an_allocation: Builder
) -> None:
    application = accounts.register(**a_form())
    declined = accounts.decline(application.id, by=admin.id, reason="Ask for less, please.")
    assert (declined.state, declined.decision_reason) == ("declined", "Ask for less, please.")
    ada = accounts.person_named("ada")
    assert accounts.projects_of(ada.id) == []
    again = accounts.request_project(
        ada.id, project_name="m51", requested=an_allocation(cores=1), reason="Less."
    )
    assert accounts.approve(again.id, by=admin.id).name == "m51"


@pytest.mark.parametrize("second", ["approve", "decline"])
def test_a_decided_application_cannot_be_decided_again(
    accounts: AccountsService, admin: Person, second: str, a_form: Builder
) -> None:
    application = accounts.register(**a_form())
    accounts.approve(application.id, by=admin.id)
    with pytest.raises(Conflict) as refusal:
        if second == "approve":
            accounts.approve(application.id, by=admin.id)
        else:
            accounts.decline(application.id, by=admin.id, reason="No.")
    assert refusal.value.code == "application_decided"
    assert len(accounts.projects()) == 2  # that of the administrator and m51


def test_of_many_approvals_at_once_exactly_one_wins(
    accounts: AccountsService, admin: Person, a_form: Builder
) -> None:
    application = accounts.register(**a_form())

    def approve(_: int) -> Project | ArmillaryError:
        try:
            return accounts.approve(application.id, by=admin.id)
        except ArmillaryError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(approve, range(8)))
    assert sum(isinstance(answer, Project) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7


def test_of_many_registrations_of_one_name_at_once_exactly_one_wins(
    accounts: AccountsService, a_form: Builder
) -> None:
    def register(number: int) -> bool:
        form = a_form(email=f"ada{number}@example.org", project_name=f"m{number}1")
        try:
            accounts.register(**form)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(register, range(8))) == 1
    assert len(accounts.people()) == 1
    assert len(accounts.applications()) == 1


def test_only_an_administrator_of_the_platform_decides(
    accounts: AccountsService, a_member: Callable[..., tuple[Person, Project]], an_allocation: Builder
) -> None:
    ada, _ = a_member()
    mine = accounts.request_project(ada.id, project_name="m31", requested=an_allocation(), reason="More.")
    with pytest.raises(Forbidden):
        accounts.approve(mine.id, by=ada.id)
    with pytest.raises(Forbidden):
        accounts.decline(mine.id, by=ada.id, reason="No.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_name", "root"),
        ("user_name", "admin"),
        ("user_name", ""),
        ("user_name", "a"),
        ("user_name", "Ada"),
        ("user_name", "0day"),
        ("user_name", "../etc/passwd"),
        ("user_name", "ada\n"),
        ("user_name", "ada\0"),
        ("user_name", "аda"),  # a Cyrillic letter that looks Latin
        ("user_name", "a" * 33),
        ("user_name", "x'; DROP TABLE accounts_people; --"),
        ("project_name", "M 51"),
        ("project_name", "m" * 100_000),
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a@b..org"),
        ("email", "a b@example.org"),
        ("email", "a@example.org\nBcc: all@example.org"),
        ("email", "a" * 300 + "@example.org"),
        ("password", "short"),
        ("password", "aaaaaaaaaaaa"),
        ("password", "x" * 9),
        ("password", "Zz9!" * 1000),
        ("password", "half \ud800 surrogate"),
        ("full_name", "   "),
        ("full_name", "x" * 201),
        ("full_name", "Ada\x07"),
        ("institute", ""),
        ("reason", ""),
        ("reason", "why " * 1000),
        ("locale", "tlh"),
        ("requested.cores", 0),
        ("requested.cores", -4),
        ("requested.cores", 10**30),
        ("requested.cores", True),
        ("requested.cores", 1.5),
        ("requested.ram", 0),
        ("requested.disk", -1),
        ("requested.storage", 10**12),
        ("requested.batch_cores", -1),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(
    accounts: AccountsService, field: str, value: Any, a_form: Builder, an_allocation: Builder
) -> None:
    form = a_form(**{field: value})
    if field.startswith("requested."):
        form = a_form(requested=an_allocation(**{field.removeprefix("requested."): value}))
    with pytest.raises(Invalid) as refusal:
        accounts.register(**form)
    assert refusal.value.facts["field"] == field
    assert set(refusal.value.facts["errors"]) == {field}
    assert accounts.people() == []
    assert accounts.applications() == []


def test_all_bad_fields_are_told_at_once(
    accounts: AccountsService, a_form: Builder, an_allocation: Builder
) -> None:
    with pytest.raises(Invalid) as refusal:
        accounts.register(**a_form(user_name="X", email="x", requested=an_allocation(cores=0, ram=0)))
    assert set(refusal.value.facts["errors"]) == {"user_name", "email", "requested.cores", "requested.ram"}


def test_the_user_name_is_no_password(accounts: AccountsService, a_form: Builder) -> None:
    with pytest.raises(Invalid) as refusal:
        accounts.register(**a_form(user_name="lovelace-ada", password="Lovelace-Ada"))
    assert refusal.value.facts["field"] == "password"


@pytest.mark.parametrize(
    ("taken", "code"),
    [
        ({"email": "other@example.org", "project_name": "m31"}, "user_name_taken"),
        ({"user_name": "ada2", "project_name": "m31", "email": "ADA@Example.org"}, "email_taken"),
        ({"user_name": "ada2", "email": "other@example.org"}, "project_name_taken"),
    ],
)
def test_a_taken_name_or_address_is_a_conflict_and_nothing_is_made(
    accounts: AccountsService, taken: dict[str, str], code: str, a_form: Builder
) -> None:
    accounts.register(**a_form())
    with pytest.raises(Conflict) as refusal:
        accounts.register(**a_form(**taken))
    assert refusal.value.code == code
    assert len(accounts.people()) == 1


def test_names_of_every_script_and_composed_passwords_are_welcome(
    accounts: AccountsService, a_form: Builder
) -> None:
    form = a_form(full_name="Тихо Браге 第谷", institute="Københavns 天文台 🔭", password="mot de passé")
    accounts.register(**form)
    decomposed = "mot de passe\u0301"  # how some keyboards send the same letters
    assert accounts.authenticate("ada", decomposed).full_name == "Тихо Браге 第谷"


def test_one_person_cannot_flood_the_administrators(
    accounts: AccountsService, a_form: Builder, an_allocation: Builder
) -> None:
    accounts.register(**a_form())
    ada = accounts.person_named("ada")
    for number in range(4):
        accounts.request_project(
            ada.id, project_name=f"m10{number}", requested=an_allocation(), reason="More."
        )
    with pytest.raises(Conflict) as refusal:
        accounts.request_project(ada.id, project_name="m105", requested=an_allocation(), reason="More.")
    assert refusal.value.code == "too_many_applications"


@pytest.mark.parametrize("wrong", ["no-such-id", "", "half \ud800 surrogate", "nul\0"])
def test_an_unknown_application_is_not_found(accounts: AccountsService, admin: Person, wrong: str) -> None:
    with pytest.raises(NotFound):
        accounts.approve(ApplicationId(wrong), by=admin.id)


def test_a_grant_out_of_bounds_is_refused_and_the_application_still_waits(
    accounts: AccountsService, admin: Person, a_form: Builder, an_allocation: Builder
) -> None:
    application = accounts.register(**a_form())
    with pytest.raises(Invalid):
        accounts.approve(application.id, by=admin.id, granted=an_allocation(cores=-1))
    with pytest.raises(Invalid):
        accounts.decline(application.id, by=admin.id, reason="  ")
    assert accounts.application(application.id).state is ApplicationState.WAITING
