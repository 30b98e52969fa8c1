"""Passwords: right, wrong, forgotten by nobody and guessed by nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from armillary.accounts.core.lockout import LockoutPolicy
from armillary.accounts.model import Person, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, Invalid, NotFound, Unauthorized, Unavailable

Builder = Callable[..., Any]


@pytest.fixture
def ada(accounts: AccountsService, a_form: Builder) -> Person:
    accounts.register(**a_form())
    return accounts.person_named("ada")


def _refusal(accounts: AccountsService, user_name: str, password: str) -> Unauthorized:
    with pytest.raises(Unauthorized) as refusal:
        accounts.authenticate(user_name, password)
    return refusal.value


def test_the_right_password_opens(accounts: AccountsService, ada: Person, password: str) -> None:
    assert accounts.authenticate("ada", password) == ada


@pytest.mark.parametrize(
    "user_name", ["nobody", "", "ADA", "ada ", "ada\0", "\ud800", "a" * 100_000, "' OR 1=1 --"]
)
def test_unknown_names_get_the_answer_of_a_wrong_password(
    accounts: AccountsService, ada: Person, user_name: str, password: str
) -> None:
    known, unknown = _refusal(accounts, "ada", "wrong password"), _refusal(accounts, user_name, password)
    assert known.as_dict() == unknown.as_dict()
    assert known.code == "wrong_password"


class CountedPasswords(Passwords):
    """Counts the hashes that it computes."""

    computed = 0

    def verify(self, password: str, kept: str | None) -> bool:
        self.computed += 1
        return super().verify(password, kept)


@pytest.mark.parametrize("user_name", ["ada", "nobody", "ada\0", "a" * 300])
def test_known_and_unknown_names_cost_one_hash_each(
    accounts: AccountsService, ada: Person, clock: VirtualClock, records_url: str, user_name: str
) -> None:
    counted = CountedPasswords(time_cost=1, memory_cost=8, parallelism=1)
    store = AccountsStore(engine=make_engine(records_url, durable=False))
    _refusal(AccountsService(store=store, clock=clock, passwords=counted), user_name, "wrong password")
    assert counted.computed == 1


def test_a_check_against_nobody_is_a_whole_argon2(cheap: Passwords) -> None:
    dear = Passwords(time_cost=1, memory_cost=65536, parallelism=1)

    def seconds(passwords: Passwords) -> float:
        start = time.thread_time()  # of the processor: what else runs beside us is no work of ours
        assert passwords.verify("x", None) is False
        return time.thread_time() - start

    assert seconds(dear) > 10 * seconds(cheap)


def test_a_flood_of_sign_ins_is_sent_away_instead_of_holding_every_thread() -> None:
    slow = Passwords(time_cost=2, memory_cost=65536, parallelism=1, at_once=1, waiting=1)
    start = threading.Barrier(12)

    def try_it(_: int) -> bool:
        start.wait()
        try:
            return slow.verify("x", None)
        except Unavailable as busy:
            return busy.code == "sign_in_busy"

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(try_it, range(12)))
    assert True in answers and False in answers


def test_a_right_password_is_known_again_without_hashing_it() -> None:
    slow = Passwords(time_cost=2, memory_cost=65536, parallelism=1, at_once=1, waiting=0, remembered=1)
    kept, other = slow.hash("correct horse"), slow.hash("battery staple")
    assert slow.verify("correct horse", kept)
    start = threading.Barrier(12)

    def try_it(_: int) -> bool:
        start.wait()
        return slow.verify("correct horse", kept)  # hashing would be sent away: there is room for one

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(try_it, range(12))) == [True] * 12
    assert not slow.verify("correct horse ", kept)
    assert not slow.verify("correct horse", other)
    assert slow.verify("battery staple", other)
    assert slow.verify("correct horse", kept)


@pytest.mark.parametrize("wrong", ["", "Correct horse battery", "\ud800", "x" * 1_000_000, "\0"])
def test_a_wrong_password_is_refused_whatever_it_is(
    accounts: AccountsService, ada: Person, wrong: str
) -> None:
    assert _refusal(accounts, "ada", wrong).code == "wrong_password"


@pytest.mark.parametrize("user_name", ["ada", "nobody"])
def test_wrong_passwords_slow_down_the_next_try_more_and_more(
    accounts: AccountsService, ada: Person, clock: VirtualClock, user_name: str
) -> None:
    assert _refusal(accounts, user_name, "wrong 1").code == "wrong_password"
    for wait in (5, 10, 20):
        assert _refusal(accounts, user_name, "wrong again").code == "wrong_password"
        refused = _refusal(accounts, user_name, "wrong again")
        assert (refused.code, refused.facts["retry_after"]) == ("too_many_attempts", wait)
        clock.advance(timedelta(seconds=wait))


def test_even_the_right_password_waits_and_then_wipes_the_slate(
    accounts: AccountsService, ada: Person, clock: VirtualClock, password: str
) -> None:
    for _ in range(2):
        _refusal(accounts, "ada", "wrong")
    assert _refusal(accounts, "ada", password).code == "too_many_attempts"
    clock.advance(timedelta(seconds=5))
    assert accounts.authenticate("ada", password) == ada
    assert _refusal(accounts, "ada", "wrong").code == "wrong_password"
    assert accounts.authenticate("ada", password) == ada


def test_the_wait_has_an_end_and_old_failures_are_forgotten(clock: VirtualClock) -> None:
    policy = LockoutPolicy()
    failures = None
    for _ in range(100):
        failures = policy.after_failure(failures, clock.now())
    assert policy.wait(failures, clock.now()) == timedelta(minutes=5)
    clock.advance(timedelta(hours=1, seconds=1))
    assert policy.after_failure(failures, clock.now()).count == 1


def test_a_person_who_is_switched_off_does_not_get_in(
    accounts: AccountsService, ada: Person, password: str
) -> None:
    accounts.update_person(ada.id, enabled=False)
    assert _refusal(accounts, "ada", password).code == "wrong_password"


def test_passwords_are_kept_as_argon2_and_tokens_as_hashes(
    accounts: AccountsService, ada: Person, tmp_path: Path, password: str
) -> None:
    secret = accounts.issue_token(ada.id, kind=TokenKind.API, lifetime=timedelta(hours=1)).secret
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"$argon2id$" in kept
    assert password.encode() not in kept
    assert secret.encode() not in kept


def test_a_password_with_old_cost_is_hashed_again_at_sign_in(
    accounts: AccountsService, ada: Person, clock: VirtualClock, records_url: str, password: str
) -> None:
    store = AccountsStore(engine=make_engine(records_url, durable=False))
    dearer = AccountsService(
        store=store, clock=clock, passwords=Passwords(time_cost=2, memory_cost=16, parallelism=1)
    )
    assert dearer.authenticate("ada", password) == ada
    with store.read() as records:
        assert "m=16,t=2" in (records.people.password_hashes(ada.id)[0] or "")
    assert dearer.authenticate("ada", password) == ada


def test_a_password_is_changed_with_the_old_one_only(
    accounts: AccountsService, ada: Person, password: str
) -> None:
    with pytest.raises(Unauthorized):
        accounts.change_password(ada.id, "not the old one", "a newer battery")
    accounts.change_password(ada.id, password, "a newer battery")
    assert accounts.authenticate("ada", "a newer battery") == ada
    assert _refusal(accounts, "ada", password).code == "wrong_password"


@pytest.mark.parametrize("new", ["short", "ada", "aaaaaaaaaaaa"])
def test_a_new_password_obeys_the_rules(
    accounts: AccountsService, ada: Person, password: str, new: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        accounts.change_password(ada.id, password, new)
    assert refusal.value.facts["field"] == "new_password"


def test_the_last_two_passwords_cannot_come_back(
    accounts: AccountsService, ada: Person, password: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        accounts.change_password(ada.id, password, password)
    assert refusal.value.code == "password_reused"
    accounts.change_password(ada.id, password, "a newer battery")
    with pytest.raises(Invalid):
        accounts.change_password(ada.id, "a newer battery", password)
    accounts.change_password(ada.id, "a newer battery", "the newest battery")
    accounts.change_password(ada.id, "the newest battery", password)


def test_a_new_password_ends_sessions_but_not_running_jobs(
    accounts: AccountsService, ada: Person, password: str
) -> None:
    issued = {
        kind: accounts.issue_token(ada.id, kind=kind, lifetime=timedelta(hours=1)) for kind in TokenKind
    }
    keep = issued[TokenKind.API].token.id
    accounts.change_password(ada.id, password, "a newer battery", keep=keep)
    for kind in (TokenKind.JOB, TokenKind.API):
        assert accounts.check_token(issued[kind].secret).person == ada
    for kind in (TokenKind.SESSION, TokenKind.KEYSTONE):
        with pytest.raises(Unauthorized):
            accounts.check_token(issued[kind].secret)


def test_the_first_administrator_is_made_once_with_a_one_time_password(accounts: AccountsService) -> None:
    password = accounts.bootstrap_admin()
    assert password is not None and len(password) >= 20
    admin = accounts.authenticate("admin", password)
    assert admin.is_admin
    assert [m.project.name for m in accounts.projects_of(admin.id)] == ["admin"]
    assert accounts.bootstrap_admin() is None


def test_the_last_administrator_stays(accounts: AccountsService, admin: Person, ada: Person) -> None:
    for forbidden in (
        lambda: accounts.update_person(admin.id, is_admin=False),
        lambda: accounts.update_person(admin.id, enabled=False),
        lambda: accounts.delete_person(admin.id),
    ):
        with pytest.raises(Conflict) as refusal:
            forbidden()
        assert refusal.value.code == "last_administrator"
    accounts.update_person(ada.id, is_admin=True)
    accounts.delete_person(admin.id)
    with pytest.raises(NotFound):
        accounts.person(admin.id)


def test_the_platforms_own_identity_is_made_once_and_mended(accounts: AccountsService, admin: Person) -> None:
    secret = "a long machine secret"
    fleet = accounts.ensure_service_person(password=secret)
    assert fleet.is_admin
    assert accounts.authenticate("armillary-fleet", secret) == fleet
    accounts.update_person(fleet.id, is_admin=False)
    assert accounts.ensure_service_person(password=secret) == fleet
    with pytest.raises(Conflict):  # it does not count as somebody to turn to
        accounts.delete_person(admin.id)


def test_nobody_becomes_the_platforms_identity_by_taking_its_name(
    accounts: AccountsService, a_form: Builder
) -> None:
    with pytest.raises(Invalid):
        accounts.register(**a_form(user_name="armillary-fleet"))
    accounts.create_person(user_name="armillary-fleet", password="long enough 1")  # as an administrator may
    with pytest.raises(Conflict):
        accounts.ensure_service_person()
    assert accounts.person_named("armillary-fleet").is_admin is False


def test_people_made_by_an_administrator_may_have_keystones_names(accounts: AccountsService) -> None:
    made = accounts.create_person(user_name="tempest-Servers-1234-project-reader", password="long enough 1")
    assert accounts.authenticate(made.user_name, "long enough 1") == made
    for bad in ("", "a/b", "a b", "x" * 256, "é", "-x"):
        with pytest.raises(Invalid):
            accounts.create_person(user_name=bad)
    with pytest.raises(Conflict):
        accounts.create_person(user_name=made.user_name)
