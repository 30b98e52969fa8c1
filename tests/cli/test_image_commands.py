"""`armillary image packages|diff|lineage` against a platform, and on files of this computer."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import WholePlatform

from small_images import DEBIAN, ext4


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ext4(tmp_path_factory.mktemp("disk") / "disk.raw")


def test_packages_and_lineage_of_an_image_of_the_platform(
    vera: Terminal, platform: WholePlatform, disk: Path
) -> None:
    platform.east.add_image("readable", disk.read_bytes(), project=platform.project)
    assert "sextractor" in vera("image", "packages", "readable").stdout
    assert vera("image", "packages", "readable", "--source", "python", "--quiet").stdout == "phot-utils\n"
    assert vera.json("image", "lineage", "readable")[0]["name"] == "readable"
    assert "image nothing" in vera("image", "packages", "nothing", status=1).stderr
    assert "Every file is the same" in vera("image", "diff", "readable", "readable").stderr


def test_files_are_read_without_any_platform(terminal: Terminal, disk: Path, tmp_path: Path) -> None:
    other = ext4(tmp_path / "other.raw", {**DEBIAN, "etc/motd": "another\n", "opt/new": ""})
    assert "2.28.2+ds-1" in terminal("image", "packages", str(disk)).stdout
    shown = terminal("image", "diff", str(disk), str(other)).stdout
    assert "/etc/motd" in shown
    assert "/opt/new" in shown
    found = terminal.json("image", "diff", str(disk), str(other))
    assert found["configuration"]["changed"] == [{"path": "etc/motd", "what": ["contents"]}]
    assert "One of them is a file" in terminal("image", "diff", str(disk), "debian-12", status=2).stderr
