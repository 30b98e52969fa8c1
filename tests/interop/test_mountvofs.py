"""The stock `mountvofs`: VOSpace as a file system of this computer."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import certifi
import pytest
from space_clients import Space, Terminal


def cannot_mount() -> str:
    """Why this user cannot mount file systems; empty if they can."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be opened: {error.strerror}"
    return ""


# A container without FUSE has nothing to mount with; whoever may open the device must see it work.
pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(cannot_mount()), reason=cannot_mount())]


class Mounted:
    """A container, mounted in a directory."""

    def __init__(self, *, terminal: Terminal, there: str, words: tuple[str, ...] = ()) -> None:
        # The command has no flag for a server that it cannot verify: it gets a bundle with our authority.
        packages = terminal.home / "packages"
        if not packages.exists():
            shutil.copytree(Path(certifi.__file__).parent, packages / "certifi")
            bundle = packages / "certifi" / "cacert.pem"
            bundle.write_bytes(bundle.read_bytes() + b"\n" + terminal.space.authority.ca_pem)
        self.path = terminal.home / "mnt"
        self.path.mkdir(exist_ok=True)
        self._said = terminal.home / "said"
        command = [
            str(Path(sys.executable).with_name("mountvofs")), "--vospace", there, "--mountpoint", str(self.path),
            "--cache_dir", str(terminal.home / "cache"), "--log", str(terminal.home / "vofs.log"), "-f", *words,
        ]  # fmt: skip
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                command,
                env={**terminal.environment, "PYTHONPATH": str(packages)},
                cwd=terminal.home,
                stdout=said,
                stderr=said,
            )
        try:
            self.until(self.path.is_mount)
        except BaseException:
            self.close()
            raise

    def until(self, true: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for what the client does behind our back."""
        end = time.monotonic() + seconds
        while not true():
            assert self._process.poll() is None, self._said.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)

    def unmount(self) -> None:
        """Unmount, which waits for what was written."""
        subprocess.run(["fusermount", "-u", self.path], check=True)
        self._process.wait(30)

    def close(self) -> None:
        """Leave nothing mounted, whatever happened."""
        if self.path.is_mount():
            self.unmount()
        self._process.kill()
        self._process.wait(30)


@pytest.fixture
def mounted(ada: Terminal, whole: str) -> Iterator[Mounted]:
    """The test's container, mounted."""
    with closing(Mounted(terminal=ada, there=whole)) as mounted:
        yield mounted


def test_a_mounted_container_is_listed_read_and_written(mounted: Mounted, space: Space, folder: str) -> None:
    space.put(f"{folder}/a.txt", b"hello")
    assert [each.name for each in mounted.path.iterdir()] == ["a.txt"]
    assert (mounted.path / "a.txt").read_bytes() == b"hello"
    assert (mounted.path / "a.txt").stat().st_size == 5
    (mounted.path / "night").mkdir()
    (mounted.path / "night" / "new.txt").write_bytes(b"written")
    mounted.until(lambda: space.exists(f"{folder}/night/new.txt"))
    mounted.until(lambda: space.node(f"{folder}/night/new.txt").length == 7)
    # This client publishes what it makes when whoever writes lets others read their files.
    assert space.node(f"{folder}/night/new.txt").sharing.is_public
    shutil.copyfile(mounted.path / "a.txt", mounted.path / "night" / "b c.txt")
    subprocess.run(["ls", "-l", mounted.path / "night"], check=True, capture_output=True)
    mounted.until(lambda: space.names(f"{folder}/night") == ["b c.txt", "new.txt"])
    mounted.unmount()
    assert space.read(f"{folder}/night/new.txt") == b"written"
    assert space.read(f"{folder}/night/b c.txt") == b"hello"


def test_files_in_a_mounted_container_are_changed_moved_and_removed(
    mounted: Mounted, space: Space, folder: str
) -> None:
    space.put(f"{folder}/a.txt", b"first")
    space.put(f"{folder}/night/b.txt", b"2")
    assert (mounted.path / "a.txt").read_bytes() == b"first"
    with (mounted.path / "a.txt").open("r+b") as file:  # what this client appends does not arrive
        file.seek(5)
        file.write(b", second")
    mounted.until(lambda: space.read(f"{folder}/a.txt") == b"first, second")
    # This client takes the answer that a move has succeeded for a failure, of any server; it is moved all the same.
    with pytest.raises(PermissionError):
        (mounted.path / "a.txt").rename(mounted.path / "night" / "moved.txt")
    assert space.names(f"{folder}/night") == ["b.txt", "moved.txt"]
    assert (mounted.path / "night" / "moved.txt").read_bytes() == b"first, second"
    (mounted.path / "night" / "moved.txt").unlink()
    (mounted.path / "night" / "b.txt").unlink()
    (mounted.path / "night").rmdir()
    assert space.names(folder) == []


def test_files_that_others_may_not_read_here_are_private_there(
    mounted: Mounted, space: Space, folder: str
) -> None:
    subprocess.run(["sh", "-c", "umask 077; echo private > own.txt"], cwd=mounted.path, check=True)
    mounted.until(
        lambda: space.exists(f"{folder}/own.txt") and space.read(f"{folder}/own.txt") == b"private\n"
    )
    assert not space.node(f"{folder}/own.txt").sharing.is_public


def test_of_a_large_file_only_what_is_read_is_fetched(mounted: Mounted, space: Space, folder: str) -> None:
    data = os.urandom(40 << 20)
    space.put(f"{folder}/big.bin", data)
    asked = len(space.ranges())
    with (mounted.path / "big.bin").open("rb") as file:
        file.seek(30 << 20)
        assert file.read(1000) == data[30 << 20 : (30 << 20) + 1000]
    assert space.ranges()[asked:]
    assert "bytes=0-" not in space.ranges()[asked:]


def test_a_mount_for_reading_changes_nothing(ada: Terminal, whole: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/a.txt", b"kept")
    with closing(Mounted(terminal=ada, there=whole, words=("--readonly",))) as mounted:
        assert (mounted.path / "a.txt").read_bytes() == b"kept"
        with pytest.raises(OSError):
            (mounted.path / "a.txt").write_bytes(b"other")
    assert space.read(f"{folder}/a.txt") == b"kept"
