"""Where everything of a machine lies: one folder for what lasts, one short folder for its sockets."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from armillary.base.ids import PortId, ServerId

_SOCKET_PATH_LIMIT = 107
"""`sun_path` is 108 bytes with its final zero (unix(7))."""
_LONGEST_TAIL = 24
"""`/<server key>/<port key>.n` below the runtime folder."""
BUILDING = ".building"
LEAVING = ".leaving"


def digest(text: str, digits: int) -> str:
    """Return the first `digits` hexadecimal digits of the text's SHA-256: a short name for a long one."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def port_key(port_id: PortId) -> str:
    """Return the short name of a port, used in its socket paths and QEMU's netdev ids."""
    return digest(port_id, 8)


@dataclass(frozen=True, kw_only=True)
class PortSockets:
    """The four ends of a card's two wires; each end sends to the other one's path."""

    nic: Path
    """bound by QEMU: the card"""
    nic_switch: Path
    """bound by the switch, opposite the card"""
    slirp: Path
    """bound by QEMU: the card's own way out (user-mode networking)"""
    slirp_switch: Path
    """bound by the switch, opposite the way out"""


@dataclass(frozen=True, kw_only=True)
class MachineFiles:
    """The paths of one machine."""

    folder: Path
    runtime: Path

    @property
    def spec(self) -> Path:
        """Return the path of the record from which the machine starts again."""
        return self.folder / "spec.json"

    @property
    def root(self) -> Path:
        """Return the path of the root disk, a qcow2 overlay over the image."""
        return self.folder / "root.qcow2"

    @property
    def kept(self) -> Path:
        """Return the path of a root disk that was set aside; the root disk leans on it while it is there."""
        return self.folder / "kept.qcow2"

    @property
    def rescue(self) -> Path:
        """Return the path of the throwaway disk from which the machine boots for its rescue."""
        return self.folder / "rescue.qcow2"

    @property
    def anew(self) -> Path:
        """Return the path of the mark that the machine's disks shall be made anew at the next boot."""
        return self.folder / "anew"

    @property
    def warm(self) -> Path:
        """Return the path of the disk of the checkpoint that the machine began from, if it began from one.

        It is another name of the checkpoint's own file, so that the one may go and the other stays.
        """
        return self.folder / "warm.qcow2"

    @property
    def waking(self) -> Path:
        """Return the path of the mark that the machine is being woken from a checkpoint: it is nobody yet."""
        return self.folder / "waking"

    @property
    def memory(self) -> Path:
        """Return the path of a suspended machine's memory; it is whole when it is there."""
        return self.folder / "memory"

    @property
    def memory_draft(self) -> Path:
        """Return the path of a memory that is being written."""
        return self.folder / "memory.draft"

    @property
    def spent_memory(self) -> Path:
        """Return the path of a memory from which the machine has gone on, or is about to."""
        return self.folder / "memory.spent"

    @property
    def swap(self) -> Path:
        """Return the path of the swap disk, a sparse raw file."""
        return self.folder / "swap.raw"

    @property
    def ephemeral(self) -> Path:
        """Return the path of the ephemeral disk, a sparse raw file."""
        return self.folder / "ephemeral.raw"

    @property
    def config_drive(self) -> Path:
        """Return the path of the config drive's ISO image."""
        return self.folder / "config.iso"

    @property
    def console(self) -> Path:
        """Return the path of the serial console's log."""
        return self.folder / "console.log"

    @property
    def log(self) -> Path:
        """Return the path of what QEMU itself has to say."""
        return self.folder / "qemu.log"

    @property
    def pidfile(self) -> Path:
        """Return the path of the file that QEMU holds locked while it lives."""
        return self.folder / "qemu.pid"

    @property
    def monitor(self) -> Path:
        """Return the QMP socket for what changes the machine."""
        return self.runtime / "q"

    @property
    def status_monitor(self) -> Path:
        """Return the QMP socket for looking only: a monitor serves one client at a time."""
        return self.runtime / "s"

    @property
    def fabric_monitor(self) -> Path:
        """Return the QMP socket for the network's forwards."""
        return self.runtime / "f"

    @property
    def agent(self) -> Path:
        """Return the socket that leads to the guest's agent."""
        return self.runtime / "a"

    @property
    def serial(self) -> Path:
        """Return the socket that leads to the first serial port; what passes is also written to the console's log."""
        return self.runtime / "c"

    @property
    def waker(self) -> Path:
        """Return the socket that leads to the second serial port, on which a template is told who it is to be."""
        return self.runtime / "w"

    @property
    def display(self) -> Path:
        """Return the socket on which the screen is shown (VNC)."""
        return self.runtime / "d"

    def port(self, port_id: PortId) -> PortSockets:
        """Return the socket paths of one of the machine's cards."""
        key = port_key(port_id)
        return PortSockets(
            nic=self.runtime / f"{key}.n",
            nic_switch=self.runtime / f"{key}.m",
            slirp=self.runtime / f"{key}.u",
            slirp_switch=self.runtime / f"{key}.v",
        )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The folders of one engine: a pure function of its directory, so that any process finds the machines again."""

    directory: Path

    @property
    def runtime(self) -> Path:
        """Return the folder of sockets: in the directory, or in the system's temporary folder if that is too long."""
        inside = self.directory / "run"
        if len(os.fsencode(inside)) + _LONGEST_TAIL <= _SOCKET_PATH_LIMIT:
            return inside
        name = f"armillary-{os.getuid()}-{digest(str(self.directory), 12)}"
        return Path(tempfile.gettempdir()) / name

    def machine(self, server_id: ServerId) -> MachineFiles:
        """Return the paths of a machine, whether or not it exists."""
        return MachineFiles(
            folder=self.directory / "machines" / server_id, runtime=self.runtime / digest(server_id, 10)
        )

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints of templates, each in a folder by its key."""
        return self.directory / "checkpoints"

    def template(self, key: str) -> MachineFiles:
        """Return the paths of the machine that a checkpoint is being made of."""
        folder = self.checkpoints / (key + BUILDING)
        return MachineFiles(folder=folder, runtime=self.runtime / digest(f"template {key}", 10))

    @property
    def switch_state(self) -> Path:
        """Return the file from which the switch reads its plan."""
        return self.directory / "switch.json"

    @property
    def switch_pidfile(self) -> Path:
        """Return the file that the switch holds locked while it lives."""
        return self.directory / "switch.pid"

    @property
    def switch_log(self) -> Path:
        """Return the path of what the switch has to say."""
        return self.directory / "switch.log"

    @property
    def switch_control(self) -> Path:
        """Return the socket on which the switch takes orders."""
        return self.runtime / "switch"

    def prepare(self) -> None:
        """Make the folders, closed to other users.

        Raises:
            PermissionError: the folder for sockets belongs to somebody else (the temporary folder is shared).
        """
        (self.directory / "machines").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.checkpoints.mkdir(mode=0o700, exist_ok=True)
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        found = self.runtime.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{self.runtime} is not a folder of this user")
        self.runtime.chmod(0o700)
