"""What the OpenStack API says of a server is true of its machine: asked by the stock client, seen from inside."""

import subprocess
import time
from collections.abc import Callable

import pytest

from armillary.app.demo.path import SERVER
from golden import Golden

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200), pytest.mark.usefixtures("report")]

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def until(holds: Callable[[], bool], *, seconds: float = 180) -> bool:
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.5)
    return held


def status(golden: Golden) -> str:
    return golden.openstack("server", "show", SERVER)["status"]


def becomes(golden: Golden, wanted: str) -> bool:
    return until(lambda: status(golden) == wanted, seconds=300)


def test_a_volume_is_a_disk_inside_and_keeps_what_was_written(golden: Golden) -> None:
    volume = golden.openstack("volume", "create", "--size", "1", "results")["id"]
    assert until(lambda: golden.openstack("volume", "show", volume)["status"] == "available")
    golden.openstack("server", "add", "volume", SERVER, volume)
    disk = f"/dev/disk/by-id/virtio-{volume[:20]}"
    golden.inside(f"timeout 90 sh -c 'until test -b {disk}; do sleep 0.2; done'")
    assert golden.openstack("volume", "show", volume)["status"] == "in-use"
    assert golden.inside(f"sudo blockdev --getsize64 {disk}") == str(2**30)
    golden.inside(
        f"sudo mkfs.ext4 -q {disk}; sudo mount {disk} /srv; echo kept | sudo tee /srv/note; sudo umount /srv"
    )
    golden.run("openstack", "server", "remove", "volume", SERVER, volume)
    assert until(lambda: golden.openstack("volume", "show", volume)["status"] == "available")
    assert golden.inside(f"test -e {disk} || echo gone") == "gone"
    golden.openstack("server", "add", "volume", SERVER, volume)
    golden.inside(f"timeout 90 sh -c 'until test -b {disk}; do sleep 0.2; done'")
    assert golden.inside(f"sudo mount {disk} /srv && cat /srv/note && sudo umount /srv") == "kept"


def test_another_port_is_another_card_inside(golden: Golden) -> None:
    golden.openstack("network", "create", "second")
    golden.openstack("subnet", "create", "--network", "second", "--subnet-range", "10.9.0.0/24", "second")
    port = golden.openstack("port", "create", "--network", "second", "second")
    golden.run("openstack", "server", "add", "port", SERVER, port["id"])
    assert until(lambda: port["mac_address"] in golden.inside("ip -br link"))
    golden.run("openstack", "server", "remove", "port", SERVER, port["id"])
    assert until(lambda: port["mac_address"] not in golden.inside("ip -br link"))


def test_a_paused_server_goes_on_where_it_was(golden: Golden) -> None:
    boot = golden.inside(BOOT_ID)
    golden.run("openstack", "server", "pause", SERVER)
    assert becomes(golden, "PAUSED")
    golden.run("openstack", "server", "unpause", SERVER)
    assert becomes(golden, "ACTIVE")
    assert golden.inside(BOOT_ID) == boot


def test_a_suspended_server_goes_on_after_the_platform_was_stopped_and_started(golden: Golden) -> None:
    boot = golden.inside(f"echo remembered > /dev/shm/note; {BOOT_ID}")
    golden.run("openstack", "server", "suspend", SERVER)
    assert becomes(golden, "SUSPENDED")
    golden.operate("down")
    golden.operate("up")
    assert status(golden) == "SUSPENDED"
    golden.run("openstack", "server", "resume", SERVER)
    assert becomes(golden, "ACTIVE")
    assert golden.inside(f"cat /dev/shm/note; {BOOT_ID}").split() == ["remembered", boot]
    assert abs(float(golden.inside("date +%s.%N")) - time.time()) < 5


def test_taking_a_security_group_away_closes_the_machine_and_giving_it_back_opens_it(golden: Golden) -> None:
    def open_() -> bool:
        try:
            golden.inside("true", within=0)
        except (AssertionError, subprocess.TimeoutExpired):
            return False
        return True

    golden.run("openstack", "server", "remove", "security", "group", SERVER, "default")
    assert until(lambda: not open_())
    golden.run("openstack", "server", "add", "security", "group", SERVER, "default")
    assert until(open_)


def test_a_resized_server_has_the_flavors_processors_memory_and_disk(golden: Golden) -> None:
    golden.inside("echo precious | sudo tee /root/precious; sync")
    sizes = ["--vcpus", "1", "--ram", "2560", "--disk", "12", "--ephemeral", "10"]
    golden.administer("openstack", "flavor", "create", *sizes, "narrow")
    golden.run("openstack", "server", "resize", "--flavor", "narrow", SERVER)
    assert becomes(golden, "VERIFY_RESIZE")
    assert golden.inside("nproc", within=800) == "1"
    assert int(golden.inside("awk '/MemTotal/ {print $2}' /proc/meminfo")) > 2200 * 1024
    assert golden.inside("lsblk -bdno SIZE /dev/vda") == str(12 * 2**30)
    golden.run("openstack", "server", "resize", "confirm", SERVER)
    assert becomes(golden, "ACTIVE")
    assert golden.inside("sudo cat /root/precious") == "precious"
    assert "login:" in golden.run("openstack", "console", "log", "show", SERVER)


def test_a_rebuilt_server_has_its_address_and_nothing_of_the_old_disk(golden: Golden) -> None:
    golden.run("openstack", "server", "rebuild", "--image", "debian-12", SERVER)
    assert becomes(golden, "ACTIVE")
    assert golden.inside("sudo test -e /root/precious || echo gone", within=800) == "gone"
