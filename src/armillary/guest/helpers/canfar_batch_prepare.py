#!/usr/bin/python3
"""Make this machine fit for a snapshot that batch workers are cloned from.

It forgets who this machine is (cloud-init's state and the machine-id; each clone makes its own, and its own
SSH host keys), drops logs and package caches, and writes everything to disk. Your software and files stay.
The machine runs on; take the snapshot now.

Example: sudo canfar_batch_prepare
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="canfar_batch_prepare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--keep-logs", action="store_true", help="leave /var/log as it is")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if os.geteuid() != 0 and options.root == Path("/") and not options.dry_run:
        print("canfar_batch_prepare: only root may do this: sudo canfar_batch_prepare", file=sys.stderr)
        return 1
    for warning in warnings(options.root):
        print(f"note: {warning}", file=sys.stderr)
    done = 0
    for path in to_remove(options.root):
        done += 1
        if options.dry_run:
            print(f"would remove {path}")
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in to_empty(options.root, logs=not options.keep_logs):
        done += 1
        if options.dry_run:
            print(f"would empty {path}")
        else:
            path.write_bytes(b"")
    if options.dry_run:
        return 0
    if options.root == Path("/"):
        # blocks that were freed need not be in the snapshot
        subprocess.run(["fstrim", "/"], check=False, stderr=subprocess.DEVNULL)
    os.sync()
    print(f"Cleaned {done} places. This machine is ready for its snapshot.")
    return 0


def to_remove(root: Path) -> Iterator[Path]:
    """What a clone must not inherit, as far as it is there.

    The SSH host keys stay: this machine's sshd reads them for every connection, and in a clone cloud-init
    replaces them because the instance is new.
    """
    yield from sorted((root / "var/lib/cloud").glob("*"))
    yield from sorted((root / "var/cache/apt/archives").glob("*.deb"))
    yield from sorted((root / "etc/systemd/network").glob("10-cloud-init-*.network"))
    for name in ("var/lib/systemd/random-seed", "var/lib/dbus/machine-id"):
        if (root / name).is_file() and not (root / name).is_symlink():
            yield root / name


def to_empty(root: Path, *, logs: bool) -> Iterator[Path]:
    """Files that stay, without what is in them."""
    if (root / "etc/machine-id").is_file():
        yield root / "etc/machine-id"
    if logs:
        yield from sorted(path for path in (root / "var/log").rglob("*") if path.is_file())


def warnings(root: Path) -> Iterator[str]:
    """What a person may have overlooked."""
    for directory in ("mnt", "mnt/scratch"):
        files = [path for path in (root / directory).glob("*") if path.is_file()]
        if files:
            yield f"/{directory} has {len(files)} file(s); the ephemeral disk is not part of a snapshot"
    for home in sorted([root / "root", *(root / "home").glob("*")]):
        if (home / ".ssh/cadcproxy.pem").exists() or (home / ".ssl/cadcproxy.pem").exists():
            yield f"/{home.relative_to(root)} holds a VOSpace certificate, which every clone will have"


if __name__ == "__main__":
    sys.exit(main())
