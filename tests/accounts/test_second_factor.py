from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest

from armillary.accounts.model import Person, Project
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, Unauthorized


@pytest.fixture
def ada(a_member: Callable[..., tuple[Person, Project]]) -> Person:
    return a_member()[0]


class Device:
    """An authenticator that shows the codes of a secret."""

    def __init__(self, secret: str, clock: VirtualClock) -> None:
        self._totp = pyotp.TOTP(secret)
        self._clock = clock

    def code(self) -> str:
        return self._totp.at(self._clock.now())

    def next_code(self) -> str:
        self._clock.advance(timedelta(seconds=30))
        return self.code()


@pytest.fixture
def device(accounts: AccountsService, ada: Person, clock: VirtualClock) -> Device:
    return Device(accounts.begin_second_factor(ada.id), clock)


@pytest.fixture
def recovery(accounts: AccountsService, ada: Person, device: Device) -> list[str]:
    """Ada's second factor is on; her recovery codes."""
    return accounts.confirm_second_factor(ada.id, device.code())


def refusal(accounts: AccountsService, password: str, code: str | None) -> str:
    with pytest.raises(Unauthorized) as refused:
        accounts.authenticate("ada", password, code=code)
    return refused.value.code


def test_nothing_is_asked_for_before_the_first_code_was_right(
    accounts: AccountsService, ada: Person, device: Device, password: str
) -> None:
    assert accounts.authenticate("ada", password) == ada
    with pytest.raises(Unauthorized):
        accounts.confirm_second_factor(ada.id, "000000")
    assert accounts.second_factor(ada.id) is None
    assert accounts.authenticate("ada", password) == ada


def test_a_password_alone_opens_no_door_any_more(
    accounts: AccountsService, ada: Person, device: Device, recovery: list[str], password: str
) -> None:
    assert refusal(accounts, password, None) == "second_factor_needed"
    assert refusal(accounts, "wrong password", device.next_code()) == "wrong_password"
    assert accounts.authenticate("ada", password, code=device.next_code()) == ada


def test_a_code_is_good_once(
    accounts: AccountsService, device: Device, recovery: list[str], password: str
) -> None:
    assert refusal(accounts, password, device.code()) == "wrong_code"  # it confirmed the device
    code = device.next_code()
    accounts.authenticate("ada", password, code=f"{code[:3]} {code[3:]}")
    assert refusal(accounts, password, code) == "wrong_code"


def test_a_code_of_the_step_before_is_taken_and_an_older_one_is_not(
    accounts: AccountsService,
    ada: Person,
    device: Device,
    recovery: list[str],
    clock: VirtualClock,
    password: str,
) -> None:
    code = device.next_code()
    clock.advance(timedelta(seconds=60))
    assert refusal(accounts, password, code) == "wrong_code"
    code = device.next_code()
    clock.advance(timedelta(seconds=30))
    assert accounts.authenticate("ada", password, code=code) == ada


def test_a_recovery_code_is_good_once_and_they_are_counted(
    accounts: AccountsService, ada: Person, recovery: list[str], password: str
) -> None:
    accounts.authenticate("ada", password, code=recovery[3].upper())
    assert refusal(accounts, password, recovery[3]) == "wrong_code"
    factor = accounts.second_factor(ada.id)
    assert factor
    assert factor.recovery_codes == len(recovery) - 1


def test_guessing_codes_makes_the_next_try_wait(
    accounts: AccountsService, recovery: list[str], password: str
) -> None:
    assert [refusal(accounts, password, "000000") for _ in range(2)] == ["wrong_code"] * 2
    assert refusal(accounts, password, recovery[0]) == "too_many_attempts"


def test_new_recovery_codes_end_the_old_ones(
    accounts: AccountsService, ada: Person, device: Device, recovery: list[str], password: str
) -> None:
    renewed = accounts.renew_recovery_codes(ada.id, device.next_code())
    assert refusal(accounts, password, recovery[0]) == "wrong_code"
    assert accounts.authenticate("ada", password, code=renewed[0]) == ada


def test_it_is_turned_off_with_a_code_or_by_an_administrator(
    accounts: AccountsService, ada: Person, device: Device, recovery: list[str], password: str
) -> None:
    with pytest.raises(Conflict):
        accounts.begin_second_factor(ada.id)
    with pytest.raises(Unauthorized):
        accounts.end_second_factor(ada.id, "000000")
    accounts.end_second_factor(ada.id, device.next_code())
    assert accounts.authenticate("ada", password) == ada
    again = accounts.begin_second_factor(ada.id)
    assert again != device
    accounts.clear_second_factor(ada.id)
    assert accounts.second_factor(ada.id) is None
