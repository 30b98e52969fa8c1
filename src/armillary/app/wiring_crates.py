"""Makes what carries jobs with their records away, and runs them again from these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx2
from fastapi import APIRouter
from pydantic import ValidationError
from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.accounts.service import AccountsService
from armillary.app.settings_tables import DoiTable
from armillary.base.clock import Clock, to_iso
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.batch.api.taking import request_of
from armillary.batch.api.wire_submit import JobSpecIn, SubmitIn
from armillary.batch.intake import SubmitRequest
from armillary.batch.service import BatchService
from armillary.fleet.service import FleetService
from armillary.portal.archive import Archive
from armillary.portal.chores import Chores
from armillary.provenance.authors import Authors
from armillary.provenance.bundling import Bundles
from armillary.provenance.crate_api import Authenticator, crate_router
from armillary.provenance.disk_api import disk_router
from armillary.provenance.disks import Disks
from armillary.provenance.doi import DataCite, Registrar
from armillary.provenance.exporting import Exports
from armillary.provenance.freezing import Freezes
from armillary.provenance.frozen_store import FrozenStore
from armillary.provenance.frozen_store import create_all as create_frozen
from armillary.provenance.image_guard import ImageGuard
from armillary.provenance.import_store import ImportStore
from armillary.provenance.import_store import create_all as create_imports
from armillary.provenance.importing import Imports
from armillary.provenance.rerunning import Reruns
from armillary.provenance.service import Provenance
from armillary.provenance.unpacking import Unpacking
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.access import HOME_DEPTH
from armillary.vospace.service.freezing import Freezing
from armillary.vospace.service.looking_ahead import Place, place_of


@dataclass(frozen=True, kw_only=True)
class Crates:
    """Crates, made."""

    exports: Exports
    reruns: Reruns
    imports: Imports
    unpacking: Unpacking
    freezes: Freezes
    disks: Disks

    def archive(self, chores: Chores) -> Archive:
        """Return what the portal's pages work with."""
        return Archive(
            exports=self.exports,
            disks=self.disks,
            freezes=self.freezes,
            reruns=self.reruns,
            imports=self.imports,
            unpacking=self.unpacking,
            chores=chores,
        )

    def routes(self, authenticator: Authenticator) -> APIRouter:
        """Return the HTTP interface."""
        routes = APIRouter()
        # before the other, where `image` would be the name of a form
        routes.include_router(
            disk_router(exports=self.exports, disks=self.disks, authenticator=authenticator)
        )
        routes.include_router(
            crate_router(
                exports=self.exports,
                reruns=self.reruns,
                imports=self.imports,
                freezes=self.freezes,
                disks=self.disks,
                authenticator=authenticator,
            )
        )
        return routes


def build_crates(
    *,
    provenance: Provenance,
    batch: BatchService,
    vospace: VOSpaceService,
    fleet: FleetService,
    accounts: AccountsService,
    platform: str,
    database: Engine,
    clock: Clock,
    registrar: Registrar | None = None,
) -> Crates:
    """Make them over the services that know records, jobs, files and clouds. `platform` is our address."""
    create_imports(database)
    create_frozen(database)
    tree = CrateSpace(vospace)
    imports = Imports(
        store=ImportStore(database=database), spool=batch.spool, sent=batch.files, files=tree, clock=clock
    )
    exports = Exports(recorded=provenance, imported=imports, spool=batch.spool, sent=batch.files, tree=tree)
    reruns = Reruns(exports=exports, queue=batch, tree=tree, ask=ask)
    disks = Disks(fleet=fleet, memberships=accounts, signer=provenance, clock=clock, platform=platform)
    kept = FrozenStore(database=database)
    freezes = Freezes(
        exports=exports,
        store=kept,
        space=tree,
        guard=ImageGuard(store=kept, images=fleet, project=accounts.project),
        bundles=Bundles(exports=exports, disks=disks, space=tree, store=kept),
        authors=Authors(owners=provenance, people=accounts),
        registrar=registrar,
        clock=clock,
        platform=platform,
    )
    unpacking = Unpacking(imports=imports, sent=batch.files, disks=disks)
    return Crates(
        exports=exports,
        reruns=reruns,
        imports=imports,
        unpacking=unpacking,
        freezes=freezes,
        disks=disks,
    )


def registrar_of(table: DoiTable) -> Registrar | None:
    """Return who gives DOIs, if an operator has set that up."""
    if not table.endpoint or table.password_file is None:
        return None
    return DataCite(
        endpoint=table.endpoint,
        repository=table.repository,
        password=table.password_file.read_text().strip(),
        prefix=table.prefix,
        send=send,
    )


def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """Make a request to the registrar, which an operator has named."""
    try:
        answer = httpx2.request(method, url, headers=dict(headers), content=body, timeout=30, trust_env=False)
    except httpx2.HTTPError as error:
        raise OSError(str(error) or type(error).__name__) from error
    return answer.status_code, answer.content


def ask(body: Mapping[str, Any], key: str | None) -> SubmitRequest:
    """Check a submit that was made of records as one that comes from outside. What older versions wrote is left out."""
    known = set(JobSpecIn.model_fields)
    jobs = [{name: value for name, value in job.items() if name in known} for job in body["jobs"]]
    try:
        return request_of(SubmitIn.model_validate({**body, "jobs": jobs}), key)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Invalid(
            f"the records cannot be run again: {place}: {first['msg']}",
            code="bad_record",
            facts={"field": place},
        ) from error


class CrateSpace:
    """VOSpace as reruns look at it."""

    def __init__(self, space: VOSpaceService) -> None:
        self._space = space
        self._freezing = Freezing(space=space)

    def md5(self, who: Principal, uri: str) -> str | None:
        node = self._node(who, uri)
        return node.md5 if node else None

    def sha256(self, who: Principal, uri: str) -> str | None:
        node = self._node(who, uri)
        return self._space.witness.sha256(node.blob, node.length) if node else None

    def chunks(self, who: Principal, uri: str) -> Iterator[bytes]:
        return self._space.open_bytes(who, self._path(uri)).chunks

    def exists(self, who: Principal, path: VOSPath) -> bool:
        try:
            self._space.node(who, path)
        except NotFound:
            return False
        return True

    def identity(self, who: Principal, path: VOSPath) -> str | None:
        try:
            node = self._space.node(who, path)
        except NotFound:
            return None
        return f"{node.id} {to_iso(node.created_at)}"  # a database may give a number again

    def make_folder(self, who: Principal, path: VOSPath) -> None:
        self._space.ensure_home(who.person)  # theirs may be the first word that they have with VOSpace
        self._space.make_container(who, path, parents=True)

    def write(self, who: Principal, path: VOSPath, chunks: Iterator[bytes], size: int) -> None:
        self._space.put_bytes(who, path, chunks, length=size)

    def delete(self, who: Principal, path: VOSPath) -> None:
        self._space.delete(who, path)

    def freeze(self, who: Principal, path: VOSPath, name: str) -> int:
        return self._freezing.freeze(who, path, name)

    def thaw(self, who: Principal, path: VOSPath, name: str) -> int:
        return self._freezing.thaw(who, path, name)

    def is_public(self, path: VOSPath) -> bool:
        try:
            return self._space.node(None, path).sharing.is_public
        except ArmillaryError:
            return False

    def room(self, who: Principal, path: VOSPath) -> int | None:
        """Return what is left in the home that a path is in. Raises what VOSpace refuses."""
        if len(path.names) < HOME_DEPTH:
            return None
        home = self._space.node(who, VOSPath(path.names[:HOME_DEPTH]))
        return None if home.quota is None else max(0, home.quota - home.used)

    def place(self, who: Principal, uri: str, *, folder: bool) -> Place:
        self._space.ensure_home(who.person)
        path = self._path(uri)
        return place_of(self._space, who, path.parent if folder else path, folder=folder)

    def put(self, who: Principal, uri: str, chunks: Iterator[bytes], size: int) -> None:
        self.make_place(who, uri)
        self._space.put_bytes(who, self._path(uri), chunks, length=size)

    def make_place(self, who: Principal, uri: str) -> None:
        self.make_folder(who, self._path(uri).parent)

    def _path(self, uri: str) -> VOSPath:
        """Return where a file of a record is here: at its own path, also when the record is another platform's."""
        return VOSPath.parse("/" + unquote(uri.removeprefix("vos://").partition("/")[2]))

    def _node(self, who: Principal, uri: str) -> Node | None:
        try:
            return self._space.open_bytes(who, self._path(uri), head=True).node
        except ArmillaryError:
            return None
