from pathlib import Path

import pytest

from armillary.app.settings import load_settings
from armillary.base.errors import Invalid


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARMILLARY_HOME", str(tmp_path))
    return tmp_path


def test_without_a_file_there_are_two_clouds_on_loopback() -> None:
    settings = load_settings()
    assert [cloud.name for cloud in settings.clouds] == ["east", "west"]
    assert settings.host == "127.0.0.1"


def test_the_file_sets_and_the_environment_overrides(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "armillary.toml").write_text(
        "https_port = 1443\nhttp_port = 1080\n[batch]\nidle_seconds = 5\n"
        '[[clouds]]\nname = "north"\nport = 9300\nfloating_cidr = "127.20.0.0/24"\n'
    )
    monkeypatch.setenv("ARMILLARY_HTTPS_PORT", "2443")
    monkeypatch.setenv("ARMILLARY_BATCH__LEASE_SECONDS", "7")
    settings = load_settings()
    assert (settings.https_port, settings.http_port) == (2443, 1080)
    assert (settings.batch.idle_seconds, settings.batch.lease_seconds) == (5, 7)
    assert [cloud.name for cloud in settings.clouds] == ["north"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("https_port = 99999\n", "https_port"),
        ("htps_port = 1\n", "htps_port"),
        ('[[clouds]]\nname = "Bad Name"\nport = 1\nfloating_cidr = "127.1.0.0/24"\n', "clouds.0.name"),
        ("[batch]\nlease_seconds = 0\n", "batch.lease_seconds"),
        ("this is not toml", "TOML"),
    ],
)
def test_a_bad_setting_is_named_with_a_remedy(home: Path, text: str, named: str) -> None:
    (home / "armillary.toml").write_text(text)
    with pytest.raises(Invalid) as refusal:
        load_settings()
    assert named in refusal.value.message
    assert refusal.value.code == "bad_settings"
    assert refusal.value.remedy
