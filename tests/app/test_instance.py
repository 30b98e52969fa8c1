import fcntl
import os
import threading
from pathlib import Path

import pytest

from armillary.app import instance
from armillary.app.listen import bind, port_of
from armillary.base.errors import Conflict


def an_instance() -> instance.Instance:
    return instance.Instance(
        pid=os.getpid(),
        started_at="2026-01-01T00:00:00Z",
        url="https://localhost:8443",
        portal_url="http://localhost:8080",
        clouds={"east": "http://127.0.0.1:9101/identity/v3"},
        ca_file="/ca.pem",
    )


def test_a_home_has_one_platform_at_a_time(tmp_path: Path) -> None:
    with instance.hold(tmp_path):
        with pytest.raises(Conflict) as refusal, instance.hold(tmp_path):
            pass
        assert refusal.value.code == "already_running"
    with instance.hold(tmp_path):
        pass


def test_a_running_platform_is_found_by_its_note(tmp_path: Path) -> None:
    assert instance.running(tmp_path) is None
    with instance.hold(tmp_path):
        assert instance.running(tmp_path) is None, "it holds the home, and does not answer yet"
        instance.announce(tmp_path, an_instance())
        assert instance.running(tmp_path) == an_instance()
    assert instance.running(tmp_path) is None


def test_the_note_of_a_killed_platform_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    instance.announce(tmp_path, an_instance())
    assert instance.running(tmp_path) is None
    assert not instance.stop(tmp_path)


def test_a_taken_port_is_refused_with_its_number() -> None:
    with bind("127.0.0.1", 0, what="portal") as first:
        first.listen()
        with pytest.raises(Conflict) as refusal:
            bind("127.0.0.1", port_of(first), what="portal")
        assert refusal.value.facts == {"host": "127.0.0.1", "port": port_of(first)}
    assert refusal.value.code == "port_taken"


def test_a_new_platform_never_passes_for_the_killed_one(tmp_path: Path) -> None:
    instance.announce(tmp_path, an_instance())
    with instance.hold(tmp_path):
        assert instance.running(tmp_path) is None, "its process id may be anybody's by now"


def test_somebody_who_only_looks_does_not_keep_a_platform_from_starting(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open() as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        threading.Timer(0.1, looker.close).start()
        with instance.hold(tmp_path):
            pass
