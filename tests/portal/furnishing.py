"""A bit of everything in somebody's project, made with the portal's own forms."""

from __future__ import annotations

from batch_desk import BatchDesk
from portal_visitor import APPLICATION, KEY, Browser

from armillary.accounts.model import Project
from armillary.fleet.fake import FakeCloud

SUBMIT = (
    "executable = count.sh\narguments = $(Process)\noutput = $(Process).out\nrequest_memory = 512M\nqueue 3\n"
)


def furnish(ada: Browser, *, clouds: list[FakeCloud], project: Project, desk: BatchDesk) -> None:
    """Give ada a machine, a snapshot, keys, tokens, a request, jobs of which one has ended, folders and files."""
    ada.post("/keys", {"key": KEY, "name": "laptop"})
    ada.post("/tokens", {"label": "scripts", "days": "7"})
    ada.post("/applications", {**APPLICATION, "project_name": "stars"})
    [image] = [image for image in clouds[0].images(project) if image.name == "debian-12"]
    machine = {"cloud": "east", "image": str(image.id), "flavor": "c1-1gb-5", "name": "first", "key": KEY}
    ada.post("/machines/launch", machine)
    server = clouds[0].servers(project)[0]
    ada.post(f"/machines/east/{server.id}/snapshot", {"name": "with-software"})
    ada.post("/volumes", {"cloud": "east", "name": "spare", "size": "5"})
    ada.post(f"/machines/east/{server.id}/volumes/attach", {"name": "data", "size": "5"})
    ada.post("/networks", {"cloud": "east", "name": "apart", "cidr": "10.9.0.0/24"})
    ada.post("/access/clouds.yaml", {"days": "7"})
    jobs = {"image": str(image.sha512), "flavor": "c2-2gb-10", "submit_text": SUBMIT}
    ada.post("/jobs/submit", jobs, files=[("files", ("count.sh", b"#!/bin/sh\n"))])
    desk.do_job(output=b"12 stars\n")
    ada.post("/groups", {"name": "radio", "description": "Dishes"})
    ada.get("/files")  # makes the home
    ada.post("/files/home/ada", {"action": "mkdir", "name": "catalogues"})
    ada.post(
        "/files/home/ada", {"action": "upload"}, files=[("files", ("stars.csv", b"ra,dec\n10.5,41.2\n"))]
    )
