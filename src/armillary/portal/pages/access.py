"""What stock OpenStack clients need: `clouds.yaml` and `openrc` with an application credential, and never a password."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml
from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import NotFound
from armillary.base.ids import CloudName, new_hex
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.machinery import Door
from armillary.portal.visit import Visit

DAYS = (7, 30, 90, 365)

router = APIRouter(prefix="/access")


def mine(portal: Portal, visit: Visit) -> list[Any]:
    """Return the visitor's credentials for the project, the newest first."""
    known = portal.accounts.application_credentials_of(visit.person.id)
    here = [one for one in known if one.project_id == visit.project.id]
    return sorted(here, key=lambda one: one.created_at, reverse=True)


@router.get("")
def access(portal: Services, visit: Visiting) -> Response:
    return visit.page("access.html", doors=portal.machinery.doors, credentials=mine(portal, visit), days=DAYS)


@router.post("/clouds.yaml")
def clouds_yaml(portal: Services, visit: Visiting, form: Sent) -> Response:
    """Make a credential, and answer with the file that carries it; it is shown this once."""
    credential, secret = _credential(portal, visit, form.text("days"))
    return _file(clouds_yaml_of(portal.machinery.doors, credential, secret), "clouds.yaml")


def clouds_yaml_of(doors: Mapping[CloudName, Door], credential: str, secret: str) -> str:
    """Return the file: an entry for each of our clouds, all with one credential."""
    clouds = {
        str(name): {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": door.auth_url,
                "application_credential_id": credential,
                "application_credential_secret": secret,
            },
            "region_name": door.region,
            "identity_api_version": 3,
        }
        for name, door in doors.items()
    }
    return yaml.safe_dump({"clouds": clouds}, sort_keys=False)


@router.post("/openrc/{cloud}")
def openrc(portal: Services, visit: Visiting, form: Sent, cloud: str) -> Response:
    """Make a credential, and answer with a file for `source`."""
    door = portal.machinery.doors.get(CloudName(cloud))
    if door is None:
        raise NotFound(f"There is no cloud {cloud}.", code="cloud_not_found", facts={"cloud": cloud})
    credential, secret = _credential(portal, visit, form.text("days"))
    return _file(openrc_of(door, credential, secret), f"{visit.project.name}-{cloud}-openrc.sh")


def openrc_of(door: Door, credential: str, secret: str) -> str:
    """Return the lines that a shell reads; what an earlier file has set is taken back first."""
    lines: Mapping[str, str] = {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_AUTH_URL": door.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": door.region,
        "OS_INTERFACE": "public",
        "OS_APPLICATION_CREDENTIAL_ID": credential,
        "OS_APPLICATION_CREDENTIAL_SECRET": secret,
    }
    others = "OS_CLOUD OS_USERNAME OS_PASSWORD OS_PROJECT_ID OS_PROJECT_NAME OS_USER_DOMAIN_NAME"
    others += " OS_USER_DOMAIN_ID OS_PROJECT_DOMAIN_NAME OS_PROJECT_DOMAIN_ID OS_TENANT_NAME OS_TOKEN"
    exports = [f"export {name}={shlex.quote(value)}" for name, value in lines.items()]
    return "\n".join([f"unset {others}", *exports, ""])


@router.post("/{credential_id}/delete")
def delete(portal: Services, visit: Visiting, form: Sent, credential_id: str) -> Response:
    portal.accounts.delete_application_credential(visit.person.id, credential_id)
    return visit.go("/access", notice="credential-deleted")


def _credential(portal: Portal, visit: Visit, days: str) -> tuple[str, str]:
    lasts = int(days) if days in map(str, DAYS) else DAYS[1]
    now = portal.clock.now()
    credential, secret = portal.accounts.create_application_credential(
        visit.person.id,
        visit.project.id,
        name=f"portal-{now:%Y%m%d}-{new_hex()[:6]}",
        description="downloaded from the portal",
        expires_at=now + timedelta(days=lasts),
    )
    return credential.id, secret


def _file(text: str, name: str) -> Response:
    return Response(
        text.encode(),
        media_type="text/plain; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
