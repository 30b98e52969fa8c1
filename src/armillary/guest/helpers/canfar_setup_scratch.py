#!/usr/bin/python3
"""Make /mnt/scratch, a directory on the machine's ephemeral disk where everybody may write.

The ephemeral disk is as large as the flavor says, is mounted on /mnt, and goes with the machine: a snapshot
does not contain it. To run it again changes nothing.

Example: sudo canfar_setup_scratch
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

_DISK = Path("/dev/disk/by-label/ephemeral0")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="canfar_setup_scratch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--path", type=Path, default=Path("/mnt/scratch"), help="another place (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    scratch: Path = options.path
    if scratch.parent == Path("/mnt") and not os.path.ismount("/mnt"):
        if _DISK.exists():
            subprocess.run(["mount", "/mnt"], check=False)
        if not os.path.ismount("/mnt"):
            print(
                "This machine has no ephemeral disk: the scratch space is on the root disk.", file=sys.stderr
            )
    try:
        make_scratch(scratch)
    except PermissionError:
        print("canfar_setup_scratch: only root may do this: sudo canfar_setup_scratch", file=sys.stderr)
        return 1
    free = os.statvfs(scratch)
    print(f"{scratch} is ready, {free.f_bavail * free.f_frsize / 2**30:.1f} GiB are free.")
    return 0


def make_scratch(path: Path) -> None:
    """Make the directory writable for all; what is in it can be removed only by its owner."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o1777)


if __name__ == "__main__":
    sys.exit(main())
