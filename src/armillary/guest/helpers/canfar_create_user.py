#!/usr/bin/python3
"""Make an account in this machine for the person whose batch jobs will run here.

A job runs under the name of the person who submitted it when the machine has such an account. The account
has a home directory and no right to use sudo; it is open to the SSH keys that may sign in as you. To run it
again changes nothing but the keys.

Example: sudo canfar_create_user ada
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="canfar_create_user", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("user", metavar="USER", help="the user name in the research cloud")
    parser.add_argument(
        "--keys", type=Path, help="the authorized_keys file to copy (default: that of the caller)"
    )
    options = parser.parse_args(arguments)
    if not _NAME.fullmatch(options.user):
        return _fail(f"{options.user!r} is not a user name: lower-case letters, digits, - and _, 32 at most")
    if os.geteuid() != 0:
        return _fail(f"accounts are made by root: sudo canfar_create_user {options.user}")
    if exists(options.user):
        print(f"The account {options.user} is there already.")
    else:
        command = ["useradd", "--create-home", "--shell", "/bin/bash", "--user-group", options.user]
        if subprocess.run(command, check=False).returncode:
            return _fail("useradd failed; nothing was changed")
        print(f"Made the account {options.user}.")
    keys = options.keys or caller_keys()
    if keys and keys.is_file():
        copied = install_keys(keys.read_text(encoding="utf-8"), options.user)
        print(f"{copied} SSH key(s) may sign in as {options.user}.")
    else:
        print("No SSH keys to copy; the account serves batch jobs all the same.")
    return 0


def exists(user: str) -> bool:
    """Whether this machine has an account of that name."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def caller_keys() -> Path | None:
    """Return the authorized_keys of the person behind sudo."""
    caller = os.environ.get("SUDO_USER") or os.environ.get("USER") or "debian"
    return Path(pwd.getpwnam(caller).pw_dir, ".ssh/authorized_keys") if exists(caller) else None


def merged(old: str, new: str) -> str:
    """Return the keys of both texts, each once, but for those that cloud-init locks with options."""
    lines = [line.strip() for line in (old + "\n" + new).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("#", "no-port-forwarding"))]
    return "".join(f"{line}\n" for line in dict.fromkeys(kept))


def install_keys(keys: str, user: str) -> int:
    """Add keys to those of an account and return how many it has."""
    account = pwd.getpwnam(user)
    directory = Path(account.pw_dir, ".ssh")
    directory.mkdir(mode=0o700, exist_ok=True)
    target = directory / "authorized_keys"
    text = merged(target.read_text(encoding="utf-8") if target.exists() else "", keys)
    target.write_text(text, encoding="utf-8")
    target.chmod(0o600)
    for path in (directory, target):
        os.chown(path, account.pw_uid, account.pw_gid)
    return len(text.splitlines())


def _fail(message: str) -> int:
    print(f"canfar_create_user: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
