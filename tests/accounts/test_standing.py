"""What was promised to a credential ends with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from armillary.accounts.model import Person, Project, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unauthorized
from armillary.base.ids import PersonId

Member = Callable[..., tuple[Person, Project]]
HOUR = timedelta(hours=1)


def refused(accounts: AccountsService, person: Person, credential: str) -> str:
    with pytest.raises(Unauthorized) as refusal:
        accounts.holder(person.id, credential)
    return refusal.value.code


def test_a_token_holds_until_it_is_revoked(accounts: AccountsService, a_member: Member) -> None:
    ada, _ = a_member()
    issued = accounts.issue_token(ada.id, kind=TokenKind.API, lifetime=HOUR)
    credential = accounts.check_token(issued.secret).credential
    assert accounts.holder(ada.id, credential) == ada
    accounts.revoke_token(ada.id, issued.token.id)
    assert refused(accounts, ada, credential) == "token_revoked"


def test_a_token_holds_until_it_expires(
    accounts: AccountsService, a_member: Member, clock: VirtualClock
) -> None:
    ada, _ = a_member()
    credential = f"token:{accounts.issue_token(ada.id, kind=TokenKind.API, lifetime=HOUR).token.id}"
    clock.advance(HOUR)
    assert refused(accounts, ada, credential) == "token_revoked"
    assert refused(accounts, ada, "token:other") == "token_revoked"


def test_a_certificate_holds_until_it_is_revoked(
    accounts: AccountsService, a_member: Member, clock: VirtualClock
) -> None:
    ada, _ = a_member()
    credential = f"x509:ab12@{clock.now().isoformat()}"
    accounts.note_certificate(ada.id, serial="ab12", expires_at=clock.now() + HOUR, by=ada)
    assert accounts.holder(ada.id, credential) == ada
    accounts.revoke_certificate(ada.id, "ab12")
    assert refused(accounts, ada, credential) == "certificate_revoked"


def test_nobody_holds_anything_for_an_account_that_is_gone_or_switched_off(
    accounts: AccountsService, a_member: Member
) -> None:
    ada, _ = a_member()
    assert accounts.holder(ada.id, "") == ada
    gone: Any = PersonId("nobody")
    with pytest.raises(Unauthorized):
        accounts.holder(gone, "")
