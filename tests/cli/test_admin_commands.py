"""`armillary admin` for who runs the place, and `armillary notices` for everybody, against a platform."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pyotp
import pytest
from terminal import Terminal
from whole_platform import PASSWORD, WholePlatform

from armillary.notices.model import NoticeKind


@pytest.fixture
def root(terminal: Terminal, platform: WholePlatform) -> Terminal:
    """The administrator's terminal, signed in."""
    password = f"{platform.administrator_password}\n"
    terminal("login", "admin", "--url", platform.url, "--password-stdin", stdin=password)
    return terminal


def test_an_announcement_is_made_listed_told_and_ended(root: Terminal, platform: WholePlatform) -> None:
    words = ("--en", "No cloud on Monday.", "--fr", "Pas de nuage lundi.")
    assert "--until" in root("admin", "announce", "make", *words, status=2).stderr
    made = root.json("admin", "announce", "make", *words, "--level", "outage", "--hours", "48", "--notify")
    listed = root.json("admin", "announce", "list")
    assert [(one["id"], one["level"], one["fr"]) for one in listed] == [
        (made["id"], "outage", "Pas de nuage lundi.")
    ]
    assert "No cloud on Monday." in root("notices", "list", "--unread").stdout
    root("admin", "announce", "end", made["id"])
    assert root.json("admin", "announce", "list") == []
    assert made["id"] in root("admin", "announce", "list", "--all", "--quiet").stdout
    assert "no such announcement" in root("admin", "announce", "end", "gone", status=1).stderr


def test_only_administrators_announce_and_read_the_trail(vera: Terminal) -> None:
    words = ("--en", "Mine.", "--fr", "À moi.", "--hours", "1")
    vera("admin", "announce", "make", *words, status=4)
    vera("admin", "announce", "list", "--all", status=4)
    vera("admin", "trail", status=4)
    vera("admin", "drain", "east", status=4)
    assert isinstance(vera.json("admin", "announce", "list"), list)


def test_the_trail_tells_who_changed_which_figure_from_what_to_what(root: Terminal) -> None:
    root("admin", "allocate", "rotation", "--batch-cores", "12")
    root("admin", "allocate", "rotation", "--batch-cores", "8")
    root("project", "add", "rotation", "admin", "--role", "reader")
    root("project", "remove", "rotation", "admin")
    root("admin", "promote", "vera")
    root("admin", "demote", "vera")
    found = root.json("admin", "trail", "--who", "admin", "--done", "--words", "→")
    assert [entry["said"] for entry in found][:6] == [
        "vera: is_admin: True → False",
        "vera: is_admin: False → True",
        "rotation: role of admin: reader → ",
        "rotation: role of admin:  → reader",
        "rotation: allocation, batch_cores: 12 → 8",
        "rotation: allocation, batch_cores: 8 → 12",
    ]
    assert "/projects/rotation/allocation" in root("admin", "trail", "--words", "allocation").stdout
    root("project", "add", "rotation", "nobody", status=1)
    refused = root.json("admin", "trail", "--refused", "--most", "1")
    assert refused[0]["target"].endswith("/members/nobody")
    assert root.json("admin", "trail", "--until", "2001-01-01") == []


def test_a_cloud_is_drained_and_resumed(root: Terminal) -> None:
    root("admin", "drain", "east", "--reason", "new disks")
    drained = root.json("admin", "drained")
    assert [(one["cloud"], one["by"], one["reason"]) for one in drained] == [("east", "admin", "new disks")]
    assert "new disks" in root("admin", "drained").stdout
    root("admin", "resume", "east")
    assert root.json("admin", "drained") == []
    assert "nowhere" in root("admin", "drain", "nowhere", status=1).stderr


def test_people_are_listed_and_switched_off_and_on(root: Terminal, platform: WholePlatform) -> None:
    assert {"vera", "admin"} <= {one["user_name"] for one in root.json("admin", "people")}
    root("admin", "disable", "vera")
    assert not platform.accounts.person_named("vera").enabled
    root("admin", "enable", "vera")
    assert platform.accounts.person_named("vera").enabled


def test_a_reset_link_and_a_lost_second_factor_are_an_administrators_to_give(
    root: Terminal, platform: WholePlatform
) -> None:
    link = root.json("admin", "reset-link", "vera")["link"]
    assert link.startswith(f"{platform.url}/reset/")
    root("admin", "second-factor-off", "vera")
    root("admin", "reset-link", "nobody", status=1)


def test_notices_are_listed_read_and_chosen(vera: Terminal, platform: WholePlatform) -> None:
    facts = {"project": "rotation"}
    platform.notices.notify(platform.vera.id, NoticeKind.APPROVED, facts, event="approved/1")
    told = vera.json("notices", "list", "--unread")
    assert told[0]["text"] == "Your request for project rotation is approved."
    vera("notices", "read", told[0]["id"])
    assert told[0]["id"] not in vera("notices", "list", "--unread", "--quiet").stdout
    vera("notices", "read", told[0]["id"], "--not")
    vera("notices", "read", "--all")
    assert vera.json("notices", "list", "--unread") == []
    vera("notices", "read", status=2)
    vera("notices", "read", "gone", status=1)
    chosen = vera.json("notices", "prefer", "expiring", "--by", "page")
    assert chosen["channels"]["expiring"] == ["page"]
    vera("notices", "prefer", "--url", "https://example.org/hook")
    kept = vera.json("notices", "prefer")
    assert (kept["url"], kept["channels"]["expiring"]) == ("https://example.org/hook", ["page"])
    assert "expiring" in vera("notices", "prefer", "expiring", "--never").stdout
    vera("notices", "prefer", "no-such-kind", "--never", status=1)


def test_the_code_of_a_second_factor_is_given_with_the_command_or_asked_for(
    terminal: Terminal, platform: WholePlatform
) -> None:
    person = platform.accounts.create_person(user_name="wendy", password=PASSWORD, email="w@example.org")
    secret = platform.accounts.begin_second_factor(person.id)
    recovery = platform.accounts.confirm_second_factor(person.id, pyotp.TOTP(secret).now())
    login = ("login", "wendy", "--url", platform.url)
    by_program = (*login, "--password-stdin")
    assert "second factor" in terminal(*by_program, stdin=PASSWORD + "\n", status=4).stderr
    terminal(*by_program, "--code", "000000", stdin=PASSWORD + "\n", status=4)
    terminal(*by_program, "--code", recovery[0], stdin=PASSWORD + "\n")
    assert "Signed in" in at_a_keyboard(login, {b"Password": PASSWORD, b"second factor": recovery[1]})


def at_a_keyboard(words: Sequence[str], answers: Mapping[bytes, str]) -> str:
    """Run a command of ours as a person does who answers what is asked; return all that was shown."""
    ours, theirs = pty.openpty()
    code = "from armillary.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown, seen, left = b"", 0, dict(answers)
        with contextlib.suppress(OSError):  # Linux says so when the other side is gone
            while chunk := os.read(ours, 4096):
                shown += chunk
                for question, answer in list(left.items()):
                    if question in shown[seen:] and shown.rstrip().endswith(b":"):
                        seen = len(shown)
                        del left[question]
                        os.write(ours, answer.encode() + b"\n")
        os.close(ours)
        assert process.wait(60) == 0, shown.decode()
    return shown.decode()


def test_a_forecast_says_how_long_the_hours_of_a_month_last(vera: Terminal) -> None:
    told = vera.json("usage", "--forecast", "--project", "rotation")
    assert (told["project"], told["budget"], told["granted_cores"]) == ("rotation", 100.0, 8)
    assert told["gone_on"] is None
    assert told["renewed_on"].endswith("-01")
    shown = vera("usage", "--forecast")
    assert "of 100" in shown.stdout
    assert "At this pace they last" in shown.stderr
    vera("usage", "--forecast", "--project", "elsewhere", status=1)
