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


@pytest.mark.parametrize(
    "cidrs",
    [("127.16.0.0/24", "127.16.0.0/24"), ("10.0.0.0/24", "127.17.0.0/24"), ("nowhere", "127.17.0.0/24")],
)
def test_floating_ranges_are_on_loopback_and_apart(home: Path, cidrs: tuple[str, str]) -> None:
    clouds = [
        f'[[clouds]]\nname = "{name}"\nport = 0\nfloating_cidr = "{cidr}"\n'
        for name, cidr in zip(("east", "west"), cidrs, strict=True)
    ]
    (home / "armillary.toml").write_text("".join(clouds))
    with pytest.raises(Invalid, match="clouds"):
        load_settings()


def test_two_clouds_of_one_name_are_refused(home: Path) -> None:
    cloud = '[[clouds]]\nname = "east"\nport = 0\nfloating_cidr = "127.{}.0.0/24"\n'
    (home / "armillary.toml").write_text(cloud.format(16) + cloud.format(17))
    with pytest.raises(Invalid, match="same name"):
        load_settings()


def test_a_file_that_is_no_text_is_refused_in_words(home: Path) -> None:
    (home / "armillary.toml").write_bytes(b'host = "\xff\xfe"\n')
    with pytest.raises(Invalid) as refusal:
        load_settings()
    assert refusal.value.code == "bad_settings"


def test_a_variable_that_is_not_json_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMILLARY_CLOUDS", "{east")
    with pytest.raises(Invalid) as refusal:
        load_settings()
    assert refusal.value.code == "bad_settings"
