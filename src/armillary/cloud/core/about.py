"""All that a guest may read about itself, gathered: what the config drive and the metadata service are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from armillary.cloud.compute.model import Server
from armillary.cloud.network.model import Port, Subnet


@dataclass(frozen=True, kw_only=True)
class Card:
    """One of the server's ports, with what a guest needs to set it up."""

    port: Port
    mtu: int
    subnets: tuple[Subnet, ...]
    """Of its network, in the order in which they were made."""
    floating_ips: tuple[str, ...] = ()
    tag: str | None = None
    """The name that the user gave to the device."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk of the server that was asked for by itself."""

    kind: Literal["volume", "ephemeral", "swap", "root"]
    """`root` is a disk made from an image; a volume may be what the server boots from as well."""
    device: str
    """such as `/dev/vdb`"""
    serial: str = ""
    """of a volume: its id"""
    boot: bool = False
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class About:
    """A server with everything around it, read at one moment."""

    server: Server
    cards: tuple[Card, ...]
    disks: tuple[Disk, ...] = ()
    group_names: tuple[str, ...] = ()
    """Of its security groups."""
    static: Mapping[str, str]
    """The cloud's own vendor data; `cloud-init` is the key that cloud-init looks for."""
    password: str = ""
    """What the guest posted: its administrator's password, encrypted for the server's key."""
