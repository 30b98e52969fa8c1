"""`armillary sweep` on the disk of a platform that is not running."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from armillary.app.commands_sweep import sweep
from armillary.app.database import open_records
from armillary.app.schema import bring_up_to_date
from armillary.app.settings import load_settings
from armillary.base.errors import NotFound
from armillary.batch.spool import FolderSpool


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARMILLARY_HOME", str(tmp_path))
    return tmp_path


def told(*arguments: str) -> dict[str, int]:
    result = CliRunner().invoke(sweep, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return {row["what"]: row["count"] for row in json.loads(result.stdout)}


def test_a_dry_run_says_what_would_go_and_the_next_one_has_it_gone(home: Path) -> None:
    database = open_records(load_settings().records_url)
    bring_up_to_date(database, "platform")
    database.dispose()
    spool = FolderSpool(directory=home / "batch" / "spool")
    with spool.writer() as writer:
        writer.write(b"nobody's")
        blob = writer.commit()
    os.utime(spool.path(blob.sha256), (0, 0))
    (home / "batch" / "logs" / "7").mkdir(parents=True)
    log = home / "batch" / "logs" / "7" / "0.1.stdout"
    log.write_bytes(b"said")
    os.utime(log, (0, 0))

    assert told("--dry-run", "--logs-older", "365") == {"file": 1, "log": 1}
    assert spool.missing([blob.sha256]) == []
    assert told() == {"file": 1, "log": 0}
    assert spool.missing([blob.sha256]) == [blob.sha256]
    assert log.exists()
    assert told("--logs-older", "365") == {"file": 0, "log": 1}
    assert not log.exists()


def test_where_no_platform_has_been_nothing_is_made(home: Path) -> None:
    refused = CliRunner().invoke(sweep, [])
    assert isinstance(refused.exception, NotFound)
    assert list(home.iterdir()) == []
