from pathlib import Path

import pytest

from armillary.app.addresses import Addresses
from armillary.app.fleet_access import fleet_clouds, guest_gateway
from armillary.app.settings import Settings
from armillary.base.errors import Invalid
from armillary.base.ids import CloudName

HERE = Addresses(https_port=8443, http_port=8080, cloud_ports={CloudName("east"): 9101})


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARMILLARY_HOME", str(tmp_path))
    file = tmp_path / "clouds.yaml"
    file.write_text("clouds:\n  arbutus:\n    auth: {auth_url: 'https://cloud.example.org:5000'}\n")
    return file


def test_an_outer_cloud_must_say_where_its_machines_find_us(outer: Path) -> None:
    with pytest.raises(Invalid) as refusal:
        fleet_clouds(Settings(clouds_yaml=outer), HERE)
    assert refusal.value.code == "no_guest_url"
    assert "arbutus" in refusal.value.remedy


def test_outer_clouds_follow_the_embedded_ones(outer: Path) -> None:
    settings = Settings(clouds_yaml=outer, guest_urls={"arbutus": "https://192.0.2.7:8443/"})
    east, arbutus = fleet_clouds(settings, HERE)
    assert (east.name, east.guest_url, east.per_project) == ("east", HERE.guest_url, True)
    assert (arbutus.name, arbutus.guest_url, arbutus.per_project) == (
        "arbutus",
        "https://192.0.2.7:8443",
        False,
    )


def test_our_name_means_the_gateway_inside_and_our_address_outside() -> None:
    assert guest_gateway(HERE.guest_url, HERE) is None
    assert guest_gateway("https://192.0.2.7:8443", HERE) == "192.0.2.7"
