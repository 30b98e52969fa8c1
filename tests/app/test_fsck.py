"""`armillary fsck` as a person runs it: on a platform that is stopped, and on one that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_at_home import PlatformAtHome, Talk

from armillary.base.ids import new_hex


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformAtHome]:
    made = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    yield made
    made.kill()


def leave_orphan(home: Path) -> Path:
    """Put bytes there that no node names, as old as a forgotten crash."""
    key = new_hex()
    file = home / "vospace" / key[:2] / key
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"nobody's")
    os.utime(file, (0, 0))
    return file


def test_it_finds_and_mends_while_the_platform_runs_and_when_it_is_stopped(platform: PlatformAtHome) -> None:
    running = platform.up()
    admin = Talk(running=running, user_name="admin", password=running["admin_password"])
    admin.put("/vault/files/home/admin/m51.fits", b"a galaxy")
    for stop in (False, True):
        if stop:
            assert platform("down").returncode == 0
        clean = platform("fsck", "--checksums")
        assert (clean.returncode, clean.stdout) == (0, "")
        assert "Records and bytes agree." in clean.stderr

        orphan = leave_orphan(platform.home)
        found = platform("fsck", "--json")
        assert found.returncode == 1
        [told] = json.loads(found.stdout)
        assert (told["fault"], told["subject"], told["mended"]) == ("orphan_bytes", orphan.name, "")
        assert "--mend" in found.stderr
        assert orphan.exists()

        mended = platform("fsck", "--mend")
        assert mended.returncode == 0, mended.stderr
        assert "orphan_bytes" in mended.stdout
        assert "deleted" in mended.stdout
        assert not orphan.exists()


def test_where_no_platform_has_been_nothing_is_made(platform: PlatformAtHome) -> None:
    refused = platform("fsck", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["code"] == "no_records"
    assert not (platform.home / "armillary.db").exists()
