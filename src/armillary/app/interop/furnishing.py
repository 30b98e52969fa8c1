"""What Tempest wants to find on a cloud: two flavors, two images, an outer network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.app.interop.target import Target
from armillary.base.errors import NotFound

_FLAVORS = {"tempest": "42", "tempest-alt": "84"}


@dataclass(frozen=True, kw_only=True)
class Furnished:
    """Ids on the cloud."""

    image: str
    image_alt: str
    flavor: str
    flavor_alt: str
    public_network: str
    disk_gib: int
    """what a system disk made from the image needs, on a server or as a volume"""


def furnish(target: Target, *, image: Path, disk_format: str, ram_mib: int, disk_gib: int) -> Furnished:
    """Make what is missing, through the cloud's own API.

    Args:
        target: the cloud.
        image: the file that both images are made of.
        disk_format: its format.
        ram_mib: of the smaller flavor.
        disk_gib: of both.

    Raises:
        NotFound: the cloud has no external network.
    """
    import openstack

    cloud: Any = openstack.connect(
        auth_url=target.auth_url,
        username=target.user,
        password=target.password,
        project_name=target.project,
        user_domain_name=target.domain,
        project_domain_name=target.domain,
        region_name=target.region,
        identity_api_version="3",
    )
    outer = next(iter(cloud.network.networks(**{"router:external": True})), None)
    if outer is None:
        raise NotFound(
            "the cloud has no external network",
            code="no_external_network",
            remedy="openstack network create --external --share public, with a subnet",
        )
    for number, (name, identifier) in enumerate(_FLAVORS.items()):
        if cloud.compute.find_flavor(identifier) is None:
            cloud.compute.create_flavor(
                id=identifier, name=name, ram=ram_mib * (number + 1), vcpus=1, disk=disk_gib
            )
    made = [_image(cloud, name, image, disk_format) for name in _FLAVORS]
    return Furnished(
        image=made[0],
        image_alt=made[1],
        flavor=_FLAVORS["tempest"],
        flavor_alt=_FLAVORS["tempest-alt"],
        public_network=outer.id,
        disk_gib=disk_gib,
    )


def _image(cloud: Any, name: str, file: Path, disk_format: str) -> str:
    found = next(iter(cloud.image.images(name=name)), None)
    if found is None:
        found = cloud.image.create_image(
            name, filename=str(file), disk_format=disk_format, container_format="bare", visibility="public"
        )
    return found.id
