"""Makes what carries jobs with their records away, and runs them again from these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError
from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid
from armillary.batch.api.taking import request_of
from armillary.batch.api.wire_submit import JobSpecIn, SubmitIn
from armillary.batch.intake import SubmitRequest
from armillary.batch.service import BatchService
from armillary.provenance.exporting import Exports
from armillary.provenance.import_store import ImportStore
from armillary.provenance.import_store import create_all as create_imports
from armillary.provenance.importing import Imports
from armillary.provenance.rerunning import Reruns
from armillary.provenance.service import Provenance
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService


@dataclass(frozen=True, kw_only=True)
class Crates:
    """Crates, made."""

    exports: Exports
    reruns: Reruns
    imports: Imports


def build_crates(
    *, provenance: Provenance, batch: BatchService, vospace: VOSpaceService, database: Engine, clock: Clock
) -> Crates:
    """Make them over the services that know records, jobs and files."""
    create_imports(database)
    tree = _Tree(vospace)
    imports = Imports(store=ImportStore(database=database), spool=batch.spool, files=tree, clock=clock)
    exports = Exports(recorded=provenance, imported=imports, spool=batch.spool, tree=tree)
    reruns = Reruns(exports=exports, queue=batch, tree=tree, ask=ask)
    return Crates(exports=exports, reruns=reruns, imports=imports)


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


class _Tree:
    """VOSpace as reruns look at it."""

    def __init__(self, space: VOSpaceService) -> None:
        self._space = space

    def md5(self, who: Principal, uri: str) -> str | None:
        node = self._node(who, uri)
        return node.md5 if node else None

    def sha256(self, who: Principal, uri: str) -> str | None:
        node = self._node(who, uri)
        return self._space.witness.sha256(node.blob, node.length) if node else None

    def chunks(self, who: Principal, uri: str) -> Iterator[bytes]:
        return self._space.open_bytes(who, self._path(uri)).chunks

    def put(self, who: Principal, uri: str, chunks: Iterator[bytes], size: int) -> None:
        path = self._path(uri)
        self._space.make_container(who, path.parent, parents=True)
        self._space.put_bytes(who, path, chunks, length=size)

    def _path(self, uri: str) -> VOSPath:
        """Return where a file of a record is here: at its own path, also when the record is another platform's."""
        return VOSPath.parse("/" + unquote(uri.removeprefix("vos://").partition("/")[2]))

    def _node(self, who: Principal, uri: str) -> Node | None:
        try:
            return self._space.open_bytes(who, self._path(uri), head=True).node
        except ArmillaryError:
            return None
