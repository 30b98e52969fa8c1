"""The same by command line: what a form would be in a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping


def launch_line(values: Mapping[str, str], *, image: str) -> str:
    """Return the launch as `armillary machine launch`."""
    words = ["armillary", "machine", "launch", values.get("name") or "NAME"]
    words += ["--image", image or "IMAGE", "--flavor", values.get("flavor") or "FLAVOR"]
    for option, name in (("--cloud", "cloud"), ("--network", "network"), ("--group", "group")):
        if values.get(name):
            words += [option, values[name]]
    if values.get("no_address"):
        words.append("--no-address")
    if values.get("volume"):
        words += ["--volume", values["volume"]]
    if values.get("user_data"):
        words += ["--user-data", "FILE"]
    if values.get("days"):
        words += ["--days", values["days"]]
    return shlex.join(words)


def openstack_line(values: Mapping[str, str], *, image: str) -> str:
    """Return the launch for the stock client, with the entry of the downloaded clouds.yaml."""
    words = ["openstack"]
    if values.get("cloud"):
        words += ["--os-cloud", values["cloud"]]
    words += ["server", "create", "--image", image or "IMAGE", "--flavor", values.get("flavor") or "FLAVOR"]
    if values.get("network"):
        words += ["--network", values["network"]]
    if values.get("group"):
        words += ["--security-group", values["group"]]
    if values.get("user_data"):
        words += ["--user-data", "FILE"]
    words += ["--key-name", "KEY", values.get("name") or "NAME"]
    return shlex.join(words)
