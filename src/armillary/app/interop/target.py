"""The cloud that is judged: a platform of its own for the occasion, or an entry of clouds.yaml."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from armillary.app import daemon, instance
from armillary.app.settings import load_settings
from armillary.base.errors import NotFound

Engine = Literal["fake", "qemu"]
_CLOUD = "judged"


@dataclass(frozen=True, kw_only=True)
class Target:
    """How an administrator reaches a cloud."""

    auth_url: str
    """of Identity v3"""
    region: str
    user: str
    password: str
    project: str
    domain: str = "Default"


@contextlib.contextmanager
def own_platform(engine: Engine, *, keep_log: Path) -> Generator[Target]:
    """Start a platform in an empty home, with one cloud that has room for every test at once, and end it after.

    Its log is copied to `keep_log` at the end.
    """
    home = Path(tempfile.mkdtemp(prefix="armillary-judged-"))
    (home / "armillary.toml").write_text(
        "https_port = 0\nhttp_port = 0\n"
        f'[[clouds]]\nname = "{_CLOUD}"\nport = 0\nfloating_cidr = "127.30.0.0/22"\nengine = "{engine}"\n'
        + ("vcpus = 500\nram_mib = 1000000\ndisk_gib = 20000\n" if engine == "fake" else "vcpus = 16\n")
    )
    before = os.environ.get("ARMILLARY_HOME")
    os.environ["ARMILLARY_HOME"] = str(home)
    try:
        running, password = daemon.start(load_settings())
        yield Target(
            auth_url=running.clouds[_CLOUD],
            region=_CLOUD,
            user="admin",
            password=password or "",
            project="admin",
        )
    finally:
        if before is None:
            del os.environ["ARMILLARY_HOME"]
        else:
            os.environ["ARMILLARY_HOME"] = before
        instance.stop(home)
        _end_machines(home)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(home / "armillary.log", keep_log)
        shutil.rmtree(home, ignore_errors=True)


def _end_machines(home: Path) -> None:
    from armillary.app.commands_daemon import end_machines

    end_machines(home)


def from_clouds_yaml(name: str) -> Target:
    """An administrator's entry of clouds.yaml, ours or of a real OpenStack.

    Raises:
        NotFound: there is no such entry.
    """
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    try:
        region: Any = OpenStackConfig().get_one(cloud=name)
    except ConfigException as error:
        raise NotFound(
            f"clouds.yaml has no cloud {name}: {error}",
            code="no_such_cloud",
            remedy="openstack --os-cloud NAME token issue shows whether an entry works",
        ) from error
    auth: dict[str, Any] = region.config["auth"]
    return Target(
        auth_url=auth["auth_url"],
        region=region.config.get("region_name") or "",
        user=auth["username"],
        password=auth["password"],
        project=auth["project_name"],
        domain=auth.get("user_domain_name") or "Default",
    )
