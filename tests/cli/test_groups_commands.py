"""`armillary group` and `armillary cert` against a platform."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from terminal import Terminal
from whole_platform import WholePlatform


@pytest.fixture
def olga(platform: WholePlatform) -> Any:
    return platform.accounts.create_person(user_name="olga")


def test_a_group_is_made_filled_shown_and_deleted(vera: Terminal, platform: WholePlatform, olga: Any):
    made = vera.json("group", "create", "m51-team", "--description", "Catalogues")
    assert [one["user_name"] for one in made["members"]] == ["vera"]
    vera("group", "create", "pilots", "--empty")
    vera("group", "add", "m51-team", "olga", "--group", "pilots")
    assert platform.accounts.groups_of(olga.id) == {"m51-team"}
    shown = vera("group", "show", "m51-team").stdout
    assert "olga, vera" in shown
    assert "pilots" in shown
    vera("group", "add", "m51-team", "olga", "--admin")
    assert [one["user_name"] for one in vera.json("group", "show", "m51-team")["admins"]] == ["olga"]
    vera("group", "describe", "m51-team", "Of M51")
    vera("group", "remove", "m51-team", "olga", "--group", "pilots")
    assert platform.accounts.groups_of(olga.id) == frozenset()
    assert "m51-team" in vera("group", "list", "--quiet").stdout.split()
    assert {"m51-team", "pilots"} <= set(vera("group", "list", "--role", "owner", "--quiet").stdout.split())
    vera("group", "delete", "m51-team")
    assert vera("group", "show", "m51-team", status=1).stdout == ""
    assert "not given again" in vera("group", "create", "m51-team", status=1).stderr


def test_nobody_is_named(vera: Terminal):
    assert "Nobody is named" in vera("group", "add", "m51-team", status=2).stderr


def test_all_groups_are_for_administrators(vera: Terminal):
    vera("group", "list", "--all", status=4)


def test_certificates_are_listed_and_revoked(vera: Terminal, platform: WholePlatform):
    person = platform.accounts.person_named("vera")
    until = platform.accounts.clock.now() + timedelta(days=1)
    for serial in ("a1", "b2"):
        platform.accounts.note_certificate(person.id, serial=serial, expires_at=until, by=person)
    assert set(vera("cert", "list", "--quiet").stdout.split()) == {"a1", "b2"}
    vera("cert", "revoke", "a1")
    assert [one["revoked_at"] is None for one in vera.json("cert", "list") if one["serial"] == "b2"] == [True]
    vera("cert", "revoke", "--all")
    assert all(one["revoked_at"] for one in vera.json("cert", "list"))
    vera("cert", "revoke", status=2)
