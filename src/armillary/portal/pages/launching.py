"""Launching a machine: three fields, the rest at its default, and what stands against it shown before the click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import Response

from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName
from armillary.base.units import GiB
from armillary.fleet.launching import Order, Prospect, holds
from armillary.fleet.model import FleetFlavor
from armillary.fleet.parts import Network, SecurityGroup
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.forms import Form, whole
from armillary.portal.keys import PublicKey
from armillary.portal.lines import launch_line, openstack_line
from armillary.portal.pages.images import SameImage, all_images
from armillary.portal.visit import Visit

TERMS = (1, 7, 30, 90, 180)
PREFILLED = (
    "image",
    "flavor",
    "name",
    "cloud",
    "fingerprint",
    "network",
    "group",
    "no_address",
    "user_data",
    "volume",
    "days",
)
"""What the query may fill in; the same names as the form's."""

router = APIRouter(prefix="/machines")


@dataclass(frozen=True, kw_only=True)
class Launching:
    """What the form offers."""

    cloud: CloudName
    clouds: Sequence[CloudName]
    images: Sequence[SameImage]
    flavors: Sequence[FleetFlavor]
    keys: Sequence[PublicKey]
    networks: Sequence[Network]
    groups: Sequence[SecurityGroup]
    chosen: str
    """the size: the one that is named, else the first that holds the image"""
    prospect: Prospect
    lines: Sequence[str]
    errors: Sequence[ArmillaryError]
    """clouds that do not answer: their images and networks are missing"""


def offer(portal: Portal, visit: Visit, values: Mapping[str, str]) -> Launching:
    """Gather what the form offers, with the cloud that is named, or the first with room."""
    project, errors = visit.project, list[ArmillaryError]()
    found = all_images(portal, project)
    images = [image for image in found.images if image.settled]
    errors += found.errors
    clouds = portal.fleet.clouds()
    named = CloudName(values.get("cloud", ""))
    flavor = values.get("flavor", "")
    cloud = named if named in clouds else portal.machinery.launching.choose_cloud(project, flavor)
    flavors: Sequence[FleetFlavor] = ()
    networks: Sequence[Network] = ()
    groups: Sequence[SecurityGroup] = ()
    try:
        flavors = portal.fleet.flavors(cloud, project)
        networks = portal.fleet.networks(cloud, project)
        groups = portal.fleet.security_groups(cloud, project)
    except ArmillaryError as error:
        if error.facts.get("cloud") not in [known.facts.get("cloud") for known in errors]:
            errors.append(error)
    image = values.get("image") or (images[0].key if images else "")
    least = min_disk_of(images, image)
    chosen = flavor or next((size.name for size in flavors if holds(size, least)), "")
    return Launching(
        cloud=cloud,
        clouds=clouds,
        images=images,
        flavors=flavors,
        keys=portal.keys.of(visit.person.id),
        networks=networks,
        groups=groups,
        chosen=chosen,
        prospect=portal.machinery.launching.prospect(project, cloud, chosen, min_disk=least),
        lines=lines_of({**values, "image": image, "flavor": chosen, "cloud": str(cloud)}, images),
        errors=errors,
    )


def min_disk_of(images: Sequence[SameImage], wanted: str) -> GiB:
    """Return what the image needs that a digest, id or name means."""
    found = [i for i in images if wanted in (i.key, i.first.name, *(copy.id for copy in i.copies))]
    return GiB(max((image.first.min_disk for image in found), default=0))


def lines_of(values: Mapping[str, str], images: Sequence[SameImage]) -> list[str]:
    """Return the same launch for a shell: ours, and the stock client's."""
    named = values.get("image", "")
    name = next((i.first.name for i in images if named in (i.first.sha512, i.first.id)), named)
    unique = sum(image.first.name == name for image in images) == 1
    return [
        launch_line(values, image=name if unique else named),
        openstack_line(values, image=name),
    ]


def key_for(portal: Portal, visit: Visit, form: Form) -> PublicKey | None:
    """Return the key that the form brings, kept from now on, or the one that it names."""
    upload = form.upload("key_file")
    typed = upload.file.read(20_000).decode(errors="replace") if upload else form.text("key")
    if typed:
        return portal.keys.add(visit.person.id, typed)
    wanted = form.text("fingerprint")
    return next((key for key in portal.keys.of(visit.person.id) if key.fingerprint == wanted), None)


def number(text: str) -> int | None:
    """Read a whole number; None for an empty field, and one that fits nothing for what is none."""
    if not text:
        return None
    found = whole(text, digits=7)
    return -1 if found is None else found


def order_of(form: Form, key: PublicKey | None) -> Order:
    """Read the form."""
    volume = number(form.text("volume"))
    return Order(
        image=form.text("image"),
        flavor=form.text("flavor"),
        name=form.text("name"),
        cloud=CloudName(form.text("cloud")) if form.text("cloud") else None,
        public_key=key.public_key if key else "",
        networks=[form.text("network")] if form.text("network") else (),
        groups=[form.text("group")] if form.text("group") else (),
        floating_ip=not form.flag("no_address"),
        user_data=form.raw("user_data").replace("\r\n", "\n"),
        volume=None if volume is None else GiB(volume),
        days=number(form.text("days")),
    )


def terms_of(portal: Portal) -> dict[str, Any]:
    """Return the days that a machine is offered to run, and whether it may run without an end."""
    rules = portal.machinery.expiry.rules
    usual = {*TERMS, rules.default or rules.longest}
    return {"terms": sorted(days for days in usual if days <= rules.longest), "endless": rules.endless}


@router.get("/launch")
def launch_form(portal: Services, visit: Visiting) -> Response:
    visit.member()
    values = {name: visit.request.query_params.get(name, "") for name in PREFILLED}
    if "days" not in visit.request.query_params:
        values["days"] = str(portal.machinery.expiry.rules.default or "")
    return visit.page(
        "launch.html", offer=offer(portal, visit, values), values=values, **terms_of(portal), error=None
    )


@router.get("/launch/check")
def check(
    portal: Services,
    visit: Visiting,
    flavor: Annotated[str, Query(max_length=100)] = "",
    cloud: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """What would become of the form as it is now."""
    project = visit.member()
    values = {name: visit.request.query_params.get(name, "") for name in PREFILLED}
    named = CloudName(cloud)
    launching = portal.machinery.launching
    chosen = named if named in portal.fleet.clouds() else launching.choose_cloud(project, flavor)
    images = [image for image in all_images(portal, project).images if image.settled]
    return visit.page(
        "_launch_check.html",
        prospect=launching.prospect(project, chosen, flavor, min_disk=min_disk_of(images, values["image"])),
        lines=lines_of({**values, "cloud": str(chosen)}, images),
        address="/machines/launch?" + urlencode({name: value for name, value in values.items() if value}),
    )


@router.post("/launch")
def launch(portal: Services, visit: Visiting, form: Sent) -> Response:
    project = visit.member()
    try:
        key = key_for(portal, visit, form)
        server = portal.machinery.launching.launch(project, visit.person, order_of(form, key))
    except ArmillaryError as error:
        values = dict.fromkeys(PREFILLED, "") | form.values()
        return visit.page(
            "launch.html",
            status=error.status,
            offer=offer(portal, visit, values),
            values=values,
            **terms_of(portal),
            error=error,
        )
    portal.machinery.roster.changed(project)
    return visit.go(f"/machines/{server.cloud}/{server.id}", notice="launched")
