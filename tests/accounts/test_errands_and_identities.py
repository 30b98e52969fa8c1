from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from armillary.accounts.model import ErrandKind, Person, Project, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, Invalid, NotFound, Unauthorized

NEW = "staple battery correct"
ISSUER = "https://id.example.org"


@pytest.fixture
def ada(a_member: Callable[..., tuple[Person, Project]]) -> Person:
    return a_member()[0]


def asked(accounts: AccountsService, name: str = "ada") -> str:
    found = accounts.ask_for_reset(name)
    assert found
    return found[1]


def test_a_new_password_is_set_once_and_ends_what_was_signed_in(
    accounts: AccountsService, ada: Person, password: str
) -> None:
    session = accounts.issue_token(ada.id, kind=TokenKind.SESSION, lifetime=timedelta(hours=1)).secret
    secret = asked(accounts)
    assert accounts.reset_password(secret, NEW) == ada
    with pytest.raises(Unauthorized):
        accounts.check_token(session)
    with pytest.raises(Unauthorized):
        accounts.authenticate("ada", password)
    assert accounts.authenticate("ada", NEW) == ada
    with pytest.raises(NotFound):
        accounts.reset_password(secret, "another good password")


def test_a_password_that_breaks_a_rule_leaves_the_link_good(accounts: AccountsService, ada: Person) -> None:
    secret = asked(accounts)
    with pytest.raises(Invalid):
        accounts.reset_password(secret, "short")
    accounts.reset_password(secret, NEW)


def test_a_link_is_good_for_an_hour(accounts: AccountsService, ada: Person, clock: VirtualClock) -> None:
    secret = asked(accounts, "ada@example.org")
    clock.advance(timedelta(hours=1))
    with pytest.raises(NotFound):
        accounts.reset_password(secret, NEW)


def test_strangers_learn_nothing_and_send_one_letter_in_two_minutes(
    accounts: AccountsService, ada: Person, clock: VirtualClock
) -> None:
    for nobody in ("bob", "bob@example.org", "", "a\0b", "x" * 300):
        assert accounts.ask_for_reset(nobody) is None
    asked(accounts)
    assert accounts.ask_for_reset("ada") is None
    clock.advance(timedelta(minutes=2))
    asked(accounts)


def test_people_who_are_switched_off_get_no_link(accounts: AccountsService, ada: Person) -> None:
    accounts.update_person(ada.id, enabled=False)
    assert accounts.ask_for_reset("ada") is None


def test_an_errand_is_of_its_kind_and_ends_once(accounts: AccountsService, ada: Person) -> None:
    secret = accounts.begin_errand(ErrandKind.CODE, person_id=ada.id, facts={"to": "/files"})
    with pytest.raises(NotFound):
        accounts.reset_password(secret, NEW)
    assert accounts.errand(ErrandKind.CODE, secret).facts == {"to": "/files"}
    accounts.end_errand(ErrandKind.CODE, secret)
    with pytest.raises(NotFound):
        accounts.end_errand(ErrandKind.CODE, secret)


def test_an_identity_is_one_person_s(accounts: AccountsService, ada: Person) -> None:
    assert accounts.person_of_identity(ISSUER, "1815") is None
    accounts.add_identity(ada.id, issuer=ISSUER, subject="1815")
    assert accounts.person_of_identity(ISSUER, "1815") == ada
    assert accounts.person_of_identity("https://other.example.org", "1815") is None
    with pytest.raises(Conflict):
        accounts.add_identity(ada.id, issuer=ISSUER, subject="1815")
    accounts.remove_identity(ada.id, issuer=ISSUER, subject="1815")
    assert accounts.identities_of(ada.id) == []


def test_the_only_way_in_is_kept(accounts: AccountsService) -> None:
    bob = accounts.create_person(user_name="bob")
    accounts.add_identity(bob.id, issuer=ISSUER, subject="2")
    with pytest.raises(Conflict):
        accounts.remove_identity(bob.id, issuer=ISSUER, subject="2")
    with pytest.raises(NotFound):
        accounts.remove_identity(bob.id, issuer=ISSUER, subject="3")
