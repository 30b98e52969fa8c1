"""Where the settings put bytes, and how a place that cannot be used is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from armillary.app.doctor import examine
from armillary.app.settings import Settings, load_settings
from armillary.app.storage import open_bytes
from armillary.base.errors import ArmillaryError, Invalid, Unavailable
from armillary.base.ids import new_hex
from armillary.vospace.bytes import Bucket, FolderBytes, S3Bytes
from ports import free_port

SECRET = "not-much-of-a-secret"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARMILLARY_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def in_a_bucket(home: Path, s3_server: str, a_bucket: Callable[[], Bucket]) -> Callable[..., Settings]:
    """Writes settings that put bytes in a new bucket, and loads them."""

    def make(**changes: str) -> Settings:
        table = {
            "bytes": f"s3://{a_bucket().name}/space",
            "s3_endpoint": s3_server,
            "s3_region": "us-east-1",
            "s3_access_key": "armillary",
            "s3_secret_key": SECRET,
        }
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in (table | changes).items())
        (home / "armillary.toml").write_text("[vospace]\n" + "".join(lines))
        return load_settings()

    return make


def test_bytes_are_in_a_folder_of_the_home_unless_settings_say_otherwise(home: Path) -> None:
    assert isinstance(open_bytes(load_settings()), FolderBytes)
    assert (home / "vospace").is_dir()


def test_a_folder_that_cannot_be_made_is_refused_with_a_remedy(home: Path) -> None:
    (home / "vospace").write_text("in the way")
    with pytest.raises(Unavailable) as refused:
        open_bytes(load_settings())
    assert refused.value.code == "bytes_unreachable"
    assert refused.value.remedy


@pytest.mark.engines
def test_a_bucket_is_tried_and_left_as_it_was(in_a_bucket: Callable[..., Settings], s3_server: str) -> None:
    settings = in_a_bucket()
    store = open_bytes(settings)
    assert isinstance(store, S3Bytes)
    key = new_hex()
    writer = store.begin(key)
    writer.write(b"a galaxy")
    writer.publish()
    name = settings.vospace.bytes.removeprefix("s3://").partition("/")[0]
    listing = httpx2.get(f"{s3_server}/{name}", trust_env=False, timeout=60).text
    assert f"<Key>space/bytes/{key[:2]}/{key}</Key>" in listing
    assert "probe" not in listing


@pytest.mark.engines
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bytes": "s3://nobody-made-this-one"}, "does not exist"),
        ({"s3_endpoint": "http://127.0.0.1:{silent}"}, "does not answer"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused_by_start_and_doctor(
    in_a_bucket: Callable[..., Settings], changes: dict[str, str], said: str
) -> None:
    changes = {name: value.format(silent=free_port()) for name, value in changes.items()}
    settings = in_a_bucket(**changes)
    with pytest.raises(Unavailable) as refused:
        open_bytes(settings)
    assert refused.value.code == "bytes_unreachable"
    assert said in refused.value.message
    found = next(finding for finding in examine() if finding.name == "bytes")
    assert (found.ok, found.detail, found.remedy) == (False, refused.value.message, refused.value.remedy)
    assert SECRET not in json.dumps(refused.value.as_dict())


def test_the_secret_is_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMILLARY_VOSPACE__S3_ACCESS_KEY", "armillary")
    monkeypatch.setenv("ARMILLARY_VOSPACE__S3_SECRET_KEY", SECRET)
    monkeypatch.setenv("ARMILLARY_DATABASE_URL", f"postgresql://us:{SECRET}@localhost/records")
    settings = load_settings()
    assert SECRET not in repr(settings)
    assert SECRET not in settings.vospace.model_dump_json()
    assert SECRET not in repr(Bucket(name="space", secret_key=SECRET))


@pytest.mark.parametrize(
    "table",
    [
        'bytes = "s3:/space"',
        'bytes = "s3://Sp ace"',
        'bytes = "gs://space"',
        's3_endpoint = "localhost:9000"',
        's3_access_key = "armillary"',
    ],
)
def test_settings_of_s3_that_cannot_be_are_named(home: Path, table: str) -> None:
    (home / "armillary.toml").write_text(f"[vospace]\n{table}\n")
    with pytest.raises(Invalid) as refused:
        load_settings()
    assert "vospace" in refused.value.message


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mysql://us:{secret}@localhost/records", "bad_settings"),
        ("us:{secret}", "bad_settings"),
        ("postgresql://us:{secret}@127.0.0.1:{silent}/records", "records_unreachable"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_by_doctor(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, code: str
) -> None:
    from armillary.app.database import open_records

    url = url.format(secret=SECRET, silent=free_port())
    monkeypatch.setenv("ARMILLARY_DATABASE_URL", url)
    with pytest.raises(ArmillaryError) as refused:
        open_records(url)
    assert refused.value.code == code
    found = next(finding for finding in examine() if finding.name == "records")
    assert (found.ok, found.detail, found.remedy) == (False, refused.value.message, refused.value.remedy)
    assert SECRET not in json.dumps(refused.value.as_dict()) + found.detail
