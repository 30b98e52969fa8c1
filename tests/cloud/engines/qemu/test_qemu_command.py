"""The command line says what the flavor and the plan say, and nothing of this computer shows in the guest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId, VolumeId
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu.command import Tuning, command
from armillary.cloud.engines.qemu.hardware import hardware_of
from armillary.cloud.engines.qemu.layout import Layout
from armillary.cloud.model import MachineSpec, PortSpec, RescueSpec, VolumeSpec
from armillary.cloud.ports import BootFailed

SERVER = ServerId("6f0a7f3c-0000-4000-8000-00000000abcd")
PORT = PortSpec(
    id=PortId("p1"),
    network_id=NetworkId("n1"),
    mac="fa:16:3e:00:00:01",
    fixed_ip="10.0.0.15",
    cidr="10.0.0.0/24",
    gateway_ip="10.0.0.1",
)
SPEC = MachineSpec(
    id=SERVER,
    name="vm",
    vcpus=2,
    ram=MiB(2048),
    root_disk=GiB(10),
    ephemeral_disk=GiB(0),
    image_path=Path("/images/abc"),
    image_format="qcow2",
    ports=(PORT,),
    config_drive={"openstack/latest/user_data": b""},
)


def words(spec: MachineSpec = SPEC, tuning: Tuning | None = None, directory: str = "/data/east") -> list[str]:
    tuning = tuning or Tuning()
    hardware = hardware_of(spec, accelerator=tuning.accelerator)
    return command(hardware, Layout(directory=Path(directory)).machine(spec.id), tuning)


def values(found: list[str], option: str) -> list[str]:
    return [found[at + 1] for at, word in enumerate(found) if word == option]


def as_json(found: list[str], option: str) -> list[dict[str, object]]:
    return [json.loads(value) for value in values(found, option) if value.startswith("{")]


def test_a_machine_has_its_flavors_processors_and_memory():
    found = words()
    assert values(found, "-m") == ["2048M"]
    assert values(found, "-smp")[0].startswith("2,")


def test_cloud_init_knows_openstack_and_the_server_by_smbios():
    (smbios,) = values(words(), "-smbios")
    assert "product=OpenStack Nova" in smbios
    assert f"uuid={SERVER}" in smbios
    assert values(words(), "-uuid") == [SERVER]


def test_the_image_is_read_only_under_the_root_disk():
    root = next(node for node in as_json(words(), "-blockdev") if node["node-name"] == "root")
    assert root["backing"]["driver"] == "qcow2"
    assert root["backing"]["read-only"] is True
    assert root["backing"]["file"]["filename"] == "/images/abc"
    assert root["cache"]["no-flush"] is False


def test_disks_come_only_when_the_specification_has_them():
    def names(spec: MachineSpec) -> list[object]:
        return [node["node-name"] for node in as_json(words(spec), "-blockdev")]

    assert names(SPEC) == ["root", "config"]
    assert names(replace(SPEC, ephemeral_disk=GiB(5), config_drive={})) == ["root", "ephemeral"]


VOLUMES = tuple(
    VolumeSpec(id=VolumeId(f"{number}1f0a7f3c-0000-4000-8000-000000000000"), path=Path("/v"), format="qcow2")
    for number in range(3)
)


def disks(spec: MachineSpec) -> list[str]:
    """The disks' contents by name, as the guest finds them: in the order of their slots."""
    found = [dev for dev in as_json(words(spec), "-device") if dev["driver"] == "virtio-blk-pci"]
    return [str(dev["drive"]) for dev in sorted(found, key=lambda dev: int(str(dev["addr"]), 16))]


def test_the_guest_finds_its_disks_in_the_promised_order():
    rescue = RescueSpec(image_path=Path("/images/rescue"), image_format="raw")
    spec = replace(SPEC, ephemeral_disk=GiB(5), swap_disk=MiB(64), volumes=VOLUMES, rescue=rescue)
    found = disks(spec)
    assert found[:5] == ["rescue", "root", "ephemeral", "swap", "config"]
    assert len(found) == 8


def test_a_volume_shows_the_first_twenty_characters_of_its_id():
    spec = replace(SPEC, volumes=VOLUMES[:1])
    (serial,) = (dev["serial"] for dev in as_json(words(spec), "-device") if "serial" in dev)
    assert serial == VOLUMES[0].id[:20]


def test_what_a_volume_says_of_a_file_beneath_it_is_not_believed():
    spec = replace(SPEC, volumes=VOLUMES[:1])
    node = next(node for node in as_json(words(spec), "-blockdev") if node["file"]["filename"] == "/v")
    assert node["backing"] is None


def test_a_read_only_volume_s_file_is_not_opened_for_writing():
    spec = replace(SPEC, volumes=(replace(VOLUMES[0], readonly=True),))
    node = next(node for node in as_json(words(spec), "-blockdev") if node["file"]["filename"] == "/v")
    assert (node["read-only"], node["file"]["read-only"]) == (True, True)


def test_a_machine_without_an_image_boots_from_its_boot_volume():
    spec = replace(SPEC, image_path=None, volumes=(VOLUMES[0], replace(VOLUMES[1], boot=True)))
    first = min(
        (dev for dev in as_json(words(spec), "-device") if "bootindex" in dev),
        key=lambda dev: int(dev["bootindex"]),
    )
    assert first["serial"] == VOLUMES[1].id[:20]
    assert disks(spec)[0] == first["drive"]


def test_the_rescue_disk_is_booted_before_the_root_disk():
    spec = replace(SPEC, rescue=RescueSpec(image_path=Path("/images/rescue"), image_format="raw"))
    order = {dev["drive"]: dev["bootindex"] for dev in as_json(words(spec), "-device") if "bootindex" in dev}
    assert order["rescue"] < order["root"]


def test_each_device_has_a_slot_of_its_own_and_too_many_are_refused():
    ports = tuple(replace(PORT, id=PortId(f"p{number}")) for number in range(8))
    spec = replace(SPEC, ports=ports, volumes=VOLUMES, ephemeral_disk=GiB(5))
    slots = [dev["addr"] for dev in as_json(words(spec), "-device") if "addr" in dev]
    assert len(set(slots)) == len(slots)
    many = tuple(replace(VOLUMES[0], id=VolumeId(str(number))) for number in range(17))
    with pytest.raises(BootFailed, match="no slot"):
        words(replace(SPEC, volumes=many))


def test_a_card_has_its_address_and_a_way_out_that_gives_it_its_fixed_ip():
    netdevs = {str(dev["type"]): dev for dev in as_json(words(), "-netdev")}
    assert netdevs["user"]["net"] == "10.0.0.0/24"
    assert netdevs["user"]["host"] == "10.0.0.1"
    assert netdevs["user"]["dhcpstart"] == "10.0.0.15"
    assert netdevs["user"]["dns"] == "10.0.0.3"
    card = next(dev for dev in as_json(words(), "-device") if dev["driver"] == "virtio-net-pci")
    assert card["mac"] == "fa:16:3e:00:00:01"


def test_an_unusual_mtu_is_told_to_the_card():
    spec = replace(SPEC, ports=(replace(PORT, mtu=1400),))
    card = next(dev for dev in as_json(words(spec), "-device") if dev["driver"] == "virtio-net-pci")
    assert card["host_mtu"] == 1400


@pytest.mark.parametrize(("accelerator", "cpu"), [("kvm", "host"), ("tcg", "max")])
def test_the_processor_follows_the_accelerator(accelerator, cpu):
    found = words(tuning=Tuning(accelerator=accelerator))
    assert values(found, "-accel")[0].startswith(accelerator)
    assert values(found, "-cpu")[0].split(",")[0] == cpu


def test_qemu_runs_in_its_sandbox_and_reads_no_configuration():
    found = words()
    assert "spawn=deny" in values(found, "-sandbox")[0]
    assert {"-nodefaults", "-no-user-config"} <= set(found)


def test_a_comma_in_the_folders_name_does_no_harm():
    console = next(
        value for value in values(words(directory="/data/a,b"), "-chardev") if "id=console" in value
    )
    assert "/data/a,,b/" in console


@pytest.mark.parametrize("directory", ["/data/east", "/" + "very-long-folder/" * 12 + "east"])
def test_socket_paths_fit_into_the_systems_limit(directory):
    layout = Layout(directory=Path(directory))
    files = layout.machine(SERVER)
    ends = files.port(PORT.id)
    paths = [
        files.monitor,
        files.agent,
        files.serial,
        files.display,
        ends.nic,
        ends.slirp_switch,
        layout.switch_control,
    ]
    assert max(len(str(path)) for path in paths) <= 107


def test_folders_of_different_clouds_share_no_socket():
    long = "/" + "very-long-folder/" * 12
    one, other = (Layout(directory=Path(long + name)) for name in ("east", "west"))
    assert one.runtime != other.runtime
