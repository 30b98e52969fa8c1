"""`armillary machine`, `volume`, `network` and shared images against a platform."""

from __future__ import annotations

from pathlib import Path

from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p vera@laptop"


def test_a_machine_is_launched_shown_extended_and_deleted(
    vera: Terminal, platform: WholePlatform, tmp_path: Path
) -> None:
    key = tmp_path / "key.pub"
    key.write_text(KEY)
    image = platform.image.name
    made = vera.json(
        "machine", "launch", "m31", "--image", image, "--flavor", FLAVOR, "--key", str(key), "--days", "7"
    )
    assert made["ends_at"]
    assert "m31" in vera("machine", "list").stdout
    assert "ssh " in vera("machine", "show", "m31").stdout
    later = vera.json("machine", "extend", "m31", "--days", "7")
    assert later["ends_at"] > made["ends_at"]
    assert vera.json("machine", "extend", "m31", "--for-ever")["ends_at"] is None
    assert "Say --days" in vera("machine", "extend", "m31", status=2).stderr
    vera("machine", "stop", "m31")
    vera("machine", "start", "m31")
    snapshot = vera.json("machine", "snapshot", "m31", "with-software")
    assert snapshot["name"] == "with-software"
    assert "no machine m32" in vera("machine", "show", "m32", status=1).stderr
    vera("machine", "delete", "m31", "--yes")
    assert vera("machine", "list", "--quiet").stdout == ""


def test_a_volume_is_made_attached_detached_and_deleted(vera: Terminal, platform: WholePlatform) -> None:
    vera("machine", "launch", "host", "--image", platform.image.name, "--flavor", FLAVOR)
    cloud = vera.json("machine", "show", "host")["cloud"]
    vera("volume", "create", "data", "--size", "3", "--cloud", cloud)
    vera("volume", "attach", "data", "host")
    assert "in-use" in vera("volume", "list").stdout
    vera("volume", "delete", "data", "--yes", status=1)
    vera("volume", "detach", "data")
    vera("volume", "delete", "data", "--yes")
    assert "no volume data" in vera("volume", "detach", "data", status=1).stderr
    vera("machine", "delete", "host", "--yes")


def test_a_network_is_made_and_deleted(vera: Terminal, platform: WholePlatform) -> None:
    cloud = vera.json("clouds")[0]["name"]
    vera("network", "create", "apart", "--addresses", "10.9.0.0/24", "--cloud", cloud)
    assert "10.9.0.0/24" in vera("network", "list").stdout
    vera("network", "delete", "apart")
    assert "apart" not in vera("network", "list").stdout


def test_the_ways_into_a_machine_are_addresses_of_the_portal(vera: Terminal, platform: WholePlatform) -> None:
    vera("machine", "launch", "inner", "--image", platform.image.name, "--flavor", FLAVOR)
    made = vera.json("machine", "show", "inner")
    base = f"{platform.url}/machines/{made['cloud']}/{made['id']}"
    assert vera.json("jupyter", "inner")["address"] == f"{base}/inside/jupyter/start?project=rotation"
    ways = {"screen": "inside/screen", "desktop": "inside/desktop/start", "log": "log"}
    for way, page in ways.items():
        shown = vera("console", "inner", "--by", way, "--quiet").stdout.strip()
        assert shown == f"{base}/{page}?project=rotation"
    assert "no machine gone" in vera("console", "gone", status=1).stderr
    vera("machine", "delete", "inner", "--yes")
