"""`/api/v1/provenance`: crates of jobs, and jobs run again from them."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

from dataclasses import replace
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from armillary.accounts.model import Principal
from armillary.base.clock import to_iso
from armillary.base.ids import ClusterId
from armillary.bounded import BoundedRoute
from armillary.crates.describing import descriptions
from armillary.crates.layout import METADATA, PROV
from armillary.crates.signing import Signature
from armillary.provenance.disks import Disks
from armillary.provenance.exporting import IMPORTED, MAX_JOBS, Exports, Target
from armillary.provenance.freezing import Freezes
from armillary.provenance.frozen_store import Frozen
from armillary.provenance.importing import Imports
from armillary.provenance.rerunning import Reruns
from armillary.vospace.paths import VOSPath

Number = Annotated[int, Path(ge=0, le=2**53)]
Form = Literal["prov-json", "ro-crate-metadata"]
OCTETS = "X-Armillary-Octets"
"""Header: how many bytes the files of a crate have together; it is packed while it is sent."""
_FORMS: dict[Form, str] = {"prov-json": PROV, "ro-crate-metadata": METADATA}


class SignaturesRoute(BoundedRoute):
    """Takes the signatures of as many jobs as a crate may have: some 300 bytes each."""

    most = 400 * MAX_JOBS


class Authenticator(Protocol):
    """Whoever knows who asks."""

    def principal_of(self, request: Request) -> Principal: ...


class RerunIn(BaseModel):
    """`POST /reruns`: the cluster or job to run again, on which cloud, for which project."""

    model_config = ConfigDict(extra="forbid")

    target: Annotated[str, Field(max_length=80)]
    cloud: Annotated[str, Field(max_length=255)] | None = None
    project: Annotated[str, Field(max_length=255)] | None = None


class ImportIn(BaseModel):
    """`POST /imports`: signatures of records whose documents and contents are in the spool, and the keys to trust."""

    model_config = ConfigDict(extra="forbid")

    cluster: Signature
    jobs: Annotated[list[Signature], Field(min_length=1, max_length=MAX_JOBS)]
    keys: Annotated[dict[str, str], Field(max_length=100)]
    image: Signature | None = None


class ImportOut(BaseModel):
    """`name` is what `rerun` takes. `kept`: files in VOSpace that are there with other bytes; `refused`: no right to write."""

    name: str
    platform: str
    jobs: list[str]
    written: list[str]
    kept: list[str]
    refused: list[str]


class FreezeIn(BaseModel):
    """`POST /frozen`: the cluster, the folder of VOSpace that is made for it, and what it is called."""

    model_config = ConfigDict(extra="forbid")

    cluster: Annotated[int, Field(ge=0, le=2**53)]
    to: Annotated[str, Field(max_length=4096)] | None = None
    title: Annotated[str, Field(max_length=500)] | None = None
    with_image: bool = False


class CiteIn(BaseModel):
    """`POST /frozen/{cluster}/doi`: a draft, or with `publish` a DOI for ever."""

    model_config = ConfigDict(extra="forbid")

    publish: bool = False


class FrozenOut(BaseModel):
    """A frozen cluster. `image_kept`: the clouds that refuse to delete its image."""

    cluster: int
    title: str
    path: str
    page: str
    image_sha512: str
    image_kept: list[str]
    image_included: bool
    frozen_at: str
    doi: str | None
    doi_state: str | None


class RerunOut(BaseModel):
    """The new cluster. `of` says of each new job which record it repeats."""

    cluster: int
    jobs: int
    image: str
    image_sha512: str
    flavor: str
    project: str
    of: dict[str, str]
    warnings: list[str]


def crate_router(
    *,
    exports: Exports,
    reruns: Reruns,
    imports: Imports,
    freezes: Freezes,
    disks: Disks,
    authenticator: Authenticator,
) -> APIRouter:
    """Return the routes."""
    of_known = type("KnownRoute", (SignaturesRoute,), {"knows": staticmethod(authenticator.principal_of)})
    routes = APIRouter(prefix="/api/v1/provenance", tags=["provenance"], route_class=of_known)
    signed_in = Depends(authenticator.principal_of)

    @routes.get("/crates/{target}")
    def crate(
        target: str,
        who: Annotated[Principal, signed_in],
        image: bool = False,
        project: Annotated[str | None, Query(max_length=255)] = None,
    ) -> Response:
        """A crate as a zip: records, signatures, descriptions, inputs and outputs; with `image` the machine image."""
        chosen = Target.parse(target)
        found = exports.crate(who, chosen)
        if image:
            disk = disks.disk(who, found, project=project)
            parcel = exports.pack(who, disk.crate, disks.chunks(disk))
        else:
            parcel = exports.pack(who, found)
        headers = {
            "Content-Disposition": f'attachment; filename="crate-{chosen}.zip"',
            OCTETS: str(parcel.octets),
        }
        return StreamingResponse(parcel.chunks, media_type="application/zip", headers=headers)

    @routes.get("/crates/{target}/records")
    def records(target: str, who: Annotated[Principal, signed_in]) -> dict[str, Any]:
        """The records of its jobs."""
        found = exports.crate(who, Target.parse(target))
        return {"records": [job.document.model_dump(mode="json") for job in found.jobs]}

    @routes.get("/crates/{target}/contents/{sha256}")
    def content(target: str, sha256: str, who: Annotated[Principal, signed_in]) -> Response:
        """The bytes of one input or output."""
        chunks = exports.content(who, Target.parse(target), sha256)
        return StreamingResponse(chunks, media_type="application/octet-stream")

    @routes.post("/imports", status_code=201)
    def bring(body: ImportIn, who: Annotated[Principal, signed_in]) -> ImportOut:
        done = imports.take(who, cluster=body.cluster, jobs=body.jobs, keys=body.keys, image=body.image)
        return ImportOut(
            name=f"{IMPORTED}{done.number}",
            platform=done.platform,
            jobs=list(done.jobs),
            written=list(done.written),
            kept=list(done.kept),
            refused=list(done.refused),
        )

    def frozen_out(who: Principal, found: Frozen) -> FrozenOut:
        return FrozenOut(
            cluster=found.cluster,
            title=found.title,
            path=found.path,
            page=freezes.page_of(found.cluster),
            image_sha512=found.image,
            image_kept=list(found.image_kept),
            image_included=freezes.has_image(who, found),
            frozen_at=to_iso(found.at),
            doi=found.doi,
            doi_state=found.doi_state,
        )

    @routes.post("/frozen", status_code=201)
    def freeze(body: FreezeIn, who: Annotated[Principal, signed_in]) -> FrozenOut:
        to = place_of(who, body.to) if body.to else None
        return frozen_out(
            who,
            freezes.freeze(who, ClusterId(body.cluster), to=to, title=body.title, with_image=body.with_image),
        )

    @routes.delete("/frozen/{cluster}")
    def unfreeze(cluster: Number, who: Annotated[Principal, signed_in]) -> FrozenOut:
        return frozen_out(who, freezes.unfreeze(who, ClusterId(cluster)))

    @routes.post("/frozen/{cluster}/doi")
    def cite(cluster: Number, body: CiteIn, who: Annotated[Principal, signed_in]) -> FrozenOut:
        return frozen_out(who, freezes.cite(who, ClusterId(cluster), publish=body.publish))

    @routes.get("/crates/{target}/{form}")
    def description(target: str, form: Form, who: Annotated[Principal, signed_in]) -> Response:
        """What a crate says of itself, alone: `prov-json` or `ro-crate-metadata`."""
        found = replace(exports.crate(who, Target.parse(target)), image=None)
        return Response(descriptions(found)[_FORMS[form]], media_type="application/json")

    @routes.post("/reruns", status_code=201)
    def rerun(
        body: RerunIn,
        who: Annotated[Principal, signed_in],
        idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    ) -> RerunOut:
        found = exports.crate(who, Target.parse(body.target))
        done = reruns.rerun(who, found, cloud=body.cloud, project=body.project, key=idempotency_key)
        new = done.submitted
        return RerunOut(
            cluster=new.cluster,
            jobs=new.jobs,
            image=new.image.name,
            image_sha512=new.image.sha512,
            flavor=new.flavor,
            project=new.project,
            of={f"{new.cluster}.{proc}": job for proc, job in done.jobs.items()},
            warnings=list(new.warnings),
        )

    return routes


def place_of(who: Principal, text: str) -> VOSPath:
    """Read a place in VOSpace as a person writes it: `vos:me/kept`, `/home/ada/kept`."""
    path = text.removeprefix("vos:")
    if path == "me" or path.startswith("me/"):
        path = f"/home/{who.person.user_name}{path.removeprefix('me')}"
    return VOSPath.parse(path)
