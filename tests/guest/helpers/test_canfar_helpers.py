"""The `canfar_*` commands, as far as they can be tried outside a machine."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.guest.helpers import canfar_batch_prepare, canfar_create_user, canfar_setup_scratch

FOLDER = Path(canfar_batch_prepare.__file__).parent


@pytest.mark.parametrize("name", ["canfar_create_user", "canfar_setup_scratch", "canfar_batch_prepare"])
def test_each_command_stands_alone_and_explains_itself(name: str) -> None:
    command = [sys.executable, "-I", "-S", str(FOLDER / f"{name}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"Example: sudo {name}" in done.stdout


def test_a_user_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert canfar_create_user.main(["Ada; rm"]) == 1
    assert "not a user name" in capsys.readouterr().err


def test_keys_are_added_once_and_locked_ones_left_out() -> None:
    old = "ssh-ed25519 AAA ada@desk\n"
    new = '# comment\n\nssh-ed25519 AAA ada@desk\nno-port-forwarding,command="echo" ssh-rsa BBB\nssh-rsa CCC x\n'
    assert canfar_create_user.merged(old, new) == "ssh-ed25519 AAA ada@desk\nssh-rsa CCC x\n"


def test_everybody_may_write_to_scratch_and_remove_only_what_is_theirs(tmp_path: Path) -> None:
    scratch = tmp_path / "mnt/scratch"
    for _ in range(2):
        assert canfar_setup_scratch.main(["--path", str(scratch)]) == 0
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o1777


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's tree with an identity, logs, and the user's own work."""
    files = {
        "etc/machine-id": "abc\n",
        "etc/ssh/ssh_host_ed25519_key": "secret",
        "etc/ssh/sshd_config": "config",
        "etc/systemd/network/10-cloud-init-eth0.network": "mac",
        "var/lib/cloud/instances/i-1/user-data.txt": "data",
        "var/log/cloud-init.log": "log",
        "var/cache/apt/archives/x.deb": "deb",
        "home/ada/work.fits": "work",
        "home/ada/.ssl/cadcproxy.pem": "certificate",
        "mnt/scratch/tmp.dat": "scratch",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_machine_that_is_prepared_has_no_identity_and_all_its_work(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canfar_batch_prepare.main(["--root", str(machine)]) == 0
    assert (machine / "etc/machine-id").read_text() == ""
    assert (machine / "var/log/cloud-init.log").read_text() == ""
    left = sorted(path.relative_to(machine).as_posix() for path in machine.rglob("*") if path.is_file())
    assert left == [
        "etc/machine-id", "etc/ssh/ssh_host_ed25519_key", "etc/ssh/sshd_config", "home/ada/.ssl/cadcproxy.pem", "home/ada/work.fits",
        "mnt/scratch/tmp.dat", "var/log/cloud-init.log",
    ]  # fmt: skip
    said = capsys.readouterr()
    assert "certificate" in said.err
    assert "not part of a snapshot" in said.err


def test_a_dry_run_changes_nothing(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert canfar_batch_prepare.main(["--root", str(machine), "--dry-run"]) == 0
    assert (machine / "etc/machine-id").read_text() == "abc\n"
    assert (machine / "var/lib/cloud/instances").exists()
    assert "would remove" in capsys.readouterr().out


def test_logs_can_stay(machine: Path) -> None:
    assert canfar_batch_prepare.main(["--root", str(machine), "--keep-logs"]) == 0
    assert (machine / "var/log/cloud-init.log").read_text() == "log"
