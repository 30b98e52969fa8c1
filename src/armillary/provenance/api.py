"""`/api/v1/provenance` and records of jobs: what made a result, signed."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from armillary.accounts.model import Principal
from armillary.base.clock import to_iso
from armillary.base.errors import Forbidden
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.batch.seeing import READ
from armillary.bounded import BoundedRoute
from armillary.crates.canonical import parse
from armillary.provenance.model import Gap, PublicKey, Signed, SignedCluster, SignedJob, Why
from armillary.provenance.service import Provenance

Part = Literal["job", "cluster"]
MOST_GAPS = 1000


def provenance_router(*, provenance: Provenance, authenticate: Callable[..., Principal]) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1", tags=["provenance"], route_class=BoundedRoute)
    who_asks = Depends(authenticate)

    @routes.get("/provenance/keys")
    def keys() -> dict[str, Any]:
        """The platform's public keys, for everybody: a signature is checked without an account."""
        return {"keys": [key_shape(key) for key in provenance.published_keys()]}

    @routes.get("/provenance/why")
    def why(
        who: Annotated[Principal, who_asks], file: Annotated[str, Query(min_length=1, max_length=8192)]
    ) -> dict[str, Any]:
        return why_shape(provenance.why(who, file))

    @routes.get("/provenance/gaps")
    def gaps(
        who: Annotated[Principal, who_asks], limit: Annotated[int, Query(ge=1, le=MOST_GAPS)] = 100
    ) -> dict[str, Any]:
        """Ends of jobs of which no record can be made, the oldest first. For administrators."""
        bound = who.token is not None and who.token.project_id is not None
        if not who.person.is_admin or bound or not who.allows(READ):
            raise Forbidden(
                "Only an administrator of the platform may do this.",
                code="not_an_administrator",
                remedy="Ask an administrator.",
            )
        found, count = provenance.gaps(limit)
        return {"count": count, "gaps": [gap_shape(one) for one in found]}

    @routes.get("/batch/jobs/{job}/record")
    def record(
        job: str, who: Annotated[Principal, who_asks], raw: Annotated[Part | None, Query()] = None
    ) -> Any:
        """A job's record with its signature and its cluster's; with `raw` the bytes that were signed."""
        signed, shared = provenance.record(who, JobId.parse(job))
        if raw is not None:
            return raw_response(signed if raw == "job" else shared)
        return record_shape(
            signed, shared, intact=provenance.is_signed(signed) and provenance.is_signed(shared)
        )

    @routes.get("/batch/clusters/{cluster}/record")
    def cluster_record(
        cluster: int, who: Annotated[Principal, who_asks], raw: Annotated[bool, Query()] = False
    ) -> Any:
        signed = provenance.cluster_record(who, ClusterId(cluster))
        return raw_response(signed) if raw else signed_shape(signed)

    return routes


def raw_response(signed: Signed) -> Response:
    """Return the very bytes that were signed; the signature goes along in headers."""
    headers = {
        "X-Armillary-SHA256": signed.signature.sha256,
        "X-Armillary-Signature": signed.signature.value,
        "X-Armillary-Key": signed.signature.key,
    }
    return Response(signed.document, media_type="application/json", headers=headers)


def key_shape(key: PublicKey) -> dict[str, Any]:
    """Return a key as the wire has it."""
    return {
        "id": key.id,
        "algorithm": "Ed25519",
        "pem": key.pem,
        "since": to_iso(key.since),
        "current": key.current,
    }


def signed_shape(signed: Signed) -> dict[str, Any]:
    """Return a document with its signature as the wire has it."""
    return {
        "record": parse(signed.document),
        "signature": signed.signature.model_dump(mode="json"),
        "made_at": to_iso(signed.made_at),
    }


def record_shape(signed: SignedJob, shared: SignedCluster, *, intact: bool) -> dict[str, Any]:
    """Return a job's record with all that it takes to check it, but for the key."""
    return {
        "job": str(signed.job),
        "attempt": signed.attempt,
        "intact": intact,
        **signed_shape(signed),
        "cluster": signed_shape(shared),
    }


def why_shape(found: Why) -> dict[str, Any]:
    """Return the answer as the wire has it."""
    made = None
    if found.record is not None and found.cluster is not None:
        made = record_shape(found.record, found.cluster, intact=bool(found.intact))
    return {
        "path": found.path,
        "size": found.size,
        "sha256": found.sha256,
        "verdict": found.verdict.value,
        "makers": [{"job": one.job, "name": one.name, "uri": one.uri} for one in found.makers],
        "made_by": made,
        "gap": gap_shape(found.gap) if found.gap else None,
    }


def gap_shape(gap: Gap) -> dict[str, Any]:
    """Return what is told of a job without a record as the wire has it."""
    return {"job": str(gap.job), "attempt": gap.attempt, "reason": gap.reason, "at": to_iso(gap.at)}
