"""How the fleet signs in: one `clouds.yaml` with the embedded clouds and the operator's own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from armillary.accounts.service import AccountsService
from armillary.app.addresses import Addresses
from armillary.app.settings import Settings
from armillary.base.errors import Invalid, Unavailable
from armillary.base.ids import CloudName, new_secret
from armillary.fleet.model import FleetCloud

FLEET_USER = "armillary-fleet"


def fleet_clouds(settings: Settings, addresses: Addresses) -> list[FleetCloud]:
    """Every cloud that we may use: the embedded ones first, then those of the operator's `clouds.yaml`."""
    embedded = [FleetCloud(name=name, guest_url=addresses.guest_url) for name in addresses.cloud_ports]
    outer = [
        FleetCloud(name=CloudName(name), guest_url=_guest_url(settings, name), per_project=False)
        for name in _outer(settings)
        if name not in addresses.cloud_ports
    ]
    return embedded + outer


def _guest_url(settings: Settings, cloud: str) -> str:
    """Where machines of an outer cloud find us: only the operator knows."""
    try:
        return settings.guest_urls[cloud].rstrip("/")
    except KeyError:
        raise Invalid(
            f"the settings do not say where machines of cloud {cloud} reach this platform",
            code="no_guest_url",
            facts={"cloud": cloud},
            remedy=f'add it to armillary.toml: guest_urls = {{ {cloud} = "https://ADDRESS:{settings.https_port}" }}',
        ) from None


def guest_gateway(guest_url: str, addresses: Addresses) -> str | None:
    """The address that our name stands for inside a machine, or None: its own gateway, on embedded clouds."""
    if guest_url == addresses.guest_url:
        return None
    host = urlsplit(guest_url).hostname or ""
    try:
        return socket.getaddrinfo(host, None, family=socket.AF_INET)[0][4][0]  # pyright: ignore[reportReturnType]
    except OSError as error:
        raise Unavailable(
            f"{host} of guest_urls cannot be resolved: {error}",
            code="bad_guest_url",
            remedy="mend guest_urls in armillary.toml",
        ) from error


def write_clouds_yaml(settings: Settings, addresses: Addresses, accounts: AccountsService) -> Path:
    """Write the fleet's `clouds.yaml`, readable by us alone, and return its path.

    The fleet's password for the embedded clouds is made once and kept in that file only.
    """
    file = settings.home / "fleet" / "clouds.yaml"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = _kept_password(file) or new_secret()
    accounts.ensure_service_person(FLEET_USER, password=password)
    clouds: dict[str, Any] = {
        name: {
            "auth": {
                "auth_url": addresses.auth_url(name),
                "username": FLEET_USER,
                "password": password,
                "project_name": "admin",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "region_name": str(name),
            "identity_api_version": 3,
        }
        for name in addresses.cloud_ports
    }
    clouds |= {name: cloud for name, cloud in _outer(settings).items() if name not in clouds}
    draft = file.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        yaml.safe_dump({"clouds": clouds}, out)
    draft.replace(file)
    return file


def _kept_password(file: Path) -> str | None:
    try:
        clouds = yaml.safe_load(file.read_text())["clouds"].values()
    except (FileNotFoundError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None
    for cloud in clouds:
        if cloud.get("auth", {}).get("username") == FLEET_USER:
            return str(cloud["auth"]["password"])
    return None


def _outer(settings: Settings) -> dict[str, Any]:
    if settings.clouds_yaml is None:
        return {}
    try:
        return dict(yaml.safe_load(settings.clouds_yaml.read_text())["clouds"])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise Invalid(
            f"{settings.clouds_yaml} cannot be read as clouds.yaml: {error}",
            code="bad_clouds_yaml",
            remedy="mend the file, or leave the setting clouds_yaml away",
        ) from error
