"""Machines: the list over all clouds, launching with three fields, and one machine with its boot log."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName, ServerId, Sha512
from armillary.fleet.model import FleetFlavor, FleetImage, FleetServer
from armillary.portal.context import Portal, Sent, Services, Visiting, sent
from armillary.portal.forms import Form
from armillary.portal.keys import PublicKey
from armillary.portal.pages.images import all_images
from armillary.portal.visit import Visit

ACTIONS = {"start": "started", "stop": "stopped", "reboot": "rebooted"}
CONSOLE_LINES = 400


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The machines of a project on all clouds that answer, and why the others do not."""

    servers: Sequence[FleetServer]
    errors: Sequence[ArmillaryError]

    @property
    def moving(self) -> bool:
        """Whether something changes by itself soon, so that looking again is worth it."""
        return not all(server.is_settled for server in self.servers)


def all_machines(portal: Portal, project: Project) -> Machines:
    """Ask all clouds at once; one that is silent does not hide the others."""
    servers: list[FleetServer] = []
    errors: list[ArmillaryError] = []
    with ThreadPoolExecutor(max(1, len(portal.fleet.clouds()))) as pool:
        asked = [pool.submit(portal.fleet.servers, cloud, project) for cloud in portal.fleet.clouds()]
    for answer in asked:
        try:
            servers += answer.result()
        except ArmillaryError as error:
            errors.append(error)
    servers.sort(key=lambda server: server.created_at, reverse=True)
    return Machines(servers=servers, errors=errors)


@dataclass(frozen=True, kw_only=True)
class Launching:
    """What the form offers."""

    cloud: CloudName
    clouds: Sequence[CloudName]
    images: Sequence[FleetImage]
    flavors: Sequence[FleetFlavor]
    keys: Sequence[PublicKey]
    free_cores: int | None


router = APIRouter(prefix="/machines")


def launching(portal: Portal, visit: Visit, cloud: str) -> Launching:
    chosen = CloudName(cloud) if cloud else portal.fleet.clouds()[0]
    limits = portal.fleet.limits(chosen, visit.project)
    return Launching(
        cloud=chosen,
        clouds=portal.fleet.clouds(),
        images=[image.first for image in all_images(portal, visit.project).images if image.settled],
        flavors=portal.fleet.flavors(chosen, visit.project),
        keys=portal.keys.of(visit.person.id),
        free_cores=None if limits.cores is None else limits.cores - limits.cores_used,
    )


def key_for(portal: Portal, visit: Visit, form: Form) -> PublicKey | None:
    upload = form.upload("key_file")
    typed = upload.file.read(20_000).decode(errors="replace") if upload else form.text("key")
    if typed:
        return portal.keys.add(visit.person.id, typed)
    wanted = form.text("fingerprint")
    return next((key for key in portal.keys.of(visit.person.id) if key.fingerprint == wanted), None)


def login_of(portal: Portal, visit: Visit, server: FleetServer) -> str:
    if server.image_id is None:
        return "debian"
    try:
        return portal.fleet.image(server.cloud, visit.project, server.image_id).login
    except NotFound:
        return "debian"  # the image was deleted since; ours have this user


@router.get("")
def machines(portal: Services, visit: Visiting) -> Response:
    return visit.page("machines.html", machines=all_machines(portal, visit.project))


@router.get("/table")
def table(portal: Services, visit: Visiting) -> Response:
    return visit.page("_machines.html", machines=all_machines(portal, visit.project))


@router.get("/launch")
def launch_form(portal: Services, visit: Visiting, cloud: str = "", image: str = "") -> Response:
    visit.member()
    offer = launching(portal, visit, cloud)
    return visit.page("launch.html", offer=offer, values={"image": image}, error=None)


@router.post("/launch")
def launch(portal: Services, visit: Visiting, form: Sent) -> Response:
    project = visit.member()
    cloud = CloudName(form.text("cloud"))
    try:
        image = portal.fleet.find_image(project, form.text("image"))
        # the same machine on every cloud: brought there when it is missing, which may take a while
        image_id = portal.fleet.ensure_image(cloud, project, Sha512(str(image.sha512)))
        key = key_for(portal, visit, form)
        if key:
            named = key.cloud_name(visit.person.user_name)
            portal.fleet.ensure_key(cloud, project, name=named, public_key=key.public_key)
        server = portal.fleet.create_server(
            cloud,
            project,
            name=form.text("name") or "machine",
            image_id=image_id,
            flavor=form.text("flavor"),
            key_name=key.cloud_name(visit.person.user_name) if key else None,
            metadata={"armillary_by": visit.person.user_name},
            floating_ip=True,
        )
    except ArmillaryError as error:
        offer = launching(portal, visit, cloud if cloud in portal.fleet.clouds() else "")
        return visit.page("launch.html", status=error.status, offer=offer, values=form.values(), error=error)
    return visit.go(f"/machines/{cloud}/{server.id}", notice="launched")


@router.get("/{cloud}/{server_id}")
def machine(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    server = portal.fleet.server(CloudName(cloud), visit.project, ServerId(server_id))
    return visit.page("machine.html", server=server, login=login_of(portal, visit, server))


@router.get("/{cloud}/{server_id}/state")
def state(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    server = portal.fleet.server(CloudName(cloud), visit.project, ServerId(server_id))
    return visit.page("_machine.html", server=server, login=login_of(portal, visit, server))


@router.get("/{cloud}/{server_id}/console")
def console(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    where = (CloudName(cloud), visit.project, ServerId(server_id))
    return visit.page("_console.html", text=printable(portal.fleet.console_log(*where, lines=CONSOLE_LINES)))


@router.get("/{cloud}/{server_id}/screen")
def screen(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    """Lead to the cloud's own page with the screen: a link, since a form may lead nowhere but here (see security)."""
    address = portal.fleet.screen(CloudName(cloud), visit.member(), ServerId(server_id))
    if not address.startswith(("http://", "https://")):
        raise NotFound("There is no such page.", code="page_not_found")
    return RedirectResponse(address, 303)


@router.get("/{cloud}/{server_id}/delete")
def confirm_delete(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    visit.member()
    server = portal.fleet.server(CloudName(cloud), visit.project, ServerId(server_id))
    return visit.page("delete_machine.html", server=server)


@router.post("/{cloud}/{server_id}/delete", dependencies=[Depends(sent)])
def delete(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    where = (CloudName(cloud), visit.member(), ServerId(server_id))
    portal.fleet.server(*where)  # a machine of others is not there, and nobody is told that it was deleted
    portal.fleet.delete_server(*where)
    return visit.go("/machines", notice="deleted")


@router.post("/{cloud}/{server_id}/snapshot")
def snapshot(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    name = form.text("name") or "snapshot"
    portal.fleet.snapshot(CloudName(cloud), visit.member(), ServerId(server_id), name=name)
    return visit.go("/images", notice="snapshot")


@router.post("/{cloud}/{server_id}/{action}", dependencies=[Depends(sent)])
def act(portal: Services, visit: Visiting, cloud: str, server_id: str, action: str) -> Response:
    where = (CloudName(cloud), visit.member(), ServerId(server_id))
    match action:
        case "start":
            portal.fleet.start_server(*where)
        case "stop":
            portal.fleet.stop_server(*where)
        case "reboot":
            portal.fleet.reboot_server(*where)
        case _:
            raise NotFound("There is no such page.", code="page_not_found")
    return visit.go(f"/machines/{cloud}/{server_id}", notice=ACTIONS[action])


def printable(text: str) -> str:
    """Return a console's text without the escape sequences and control characters that a terminal would eat."""
    kept: list[str] = []
    escape = False
    for char in text.replace("\r\n", "\n"):
        if escape:
            # a sequence begins with ESC [ and ends with a letter (ECMA-48, 5.4)
            escape = not (char.isalpha() or char in "@~")
        elif char == "\x1b":
            escape = True
        elif char in "\n\t" or char.isprintable():
            kept.append(char)
    return "".join(kept)
