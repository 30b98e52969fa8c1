"""What each kind of job does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from armillary.accounts.model import Person
from armillary.base.errors import ArmillaryError, Forbidden, Invalid, PreconditionFailed, Unavailable
from armillary.base.ids import PersonId
from armillary.vospace.core.names import PACKAGE_VIEW
from armillary.vospace.core.permissions import Asker
from armillary.vospace.core.properties import change_of
from armillary.vospace.job_model import Job, JobKind
from armillary.vospace.job_ports import Courier
from armillary.vospace.paths import NULL, VOSPath, parse_uri
from armillary.vospace.service.branches import Branches
from armillary.vospace.service.negotiation import (
    CLIENT_MOVES,
    PULL,
    PULL_TO,
    PUSH_FROM,
    Negotiation,
    carried,
    offered,
)
from armillary.vospace.service.nodes import VOSpaceService
from armillary.vospace.service.packages import Packages, format_of
from armillary.vospace.service.runner import RESUMED, Running
from armillary.vospace.transfer_xml import Protocol, TransferDocument, parse_transfer
from armillary.vospace.xml import parse_node

DETAILS = "results/transferDetails"
_ANOTHER_MAY_DO = frozenset({"transfer_failed", "host_not_allowed", "checksum_mismatch", "truncated"})

Holder = Callable[[PersonId, str], Person]


class JobWork:
    """See `runner.Work`."""

    def __init__(self, *, space: VOSpaceService, courier: Courier, holder: Holder | None = None) -> None:
        """Work in `space`; `courier` carries bytes to and from other services.

        `holder` returns who signed in with a credential, or raises when it is good no more; without one they are
        all good for ever.
        """
        self._holder = holder
        self._space = space
        self._branches = Branches(space=space)
        self._packages = Packages(space=space)
        self._negotiation = Negotiation(space=space)
        self._courier = courier

    def run(self, running: Running) -> Mapping[str, str]:
        """See `runner.Work`."""
        job = running.job
        asker = self._asker(job)
        if job.kind is JobKind.DELETE:
            path = parse_uri(job.document, self._space.authorities)
            return _counts(self._branches.delete(asker, path, running.step, job.progress))
        if job.kind is JobKind.PROPERTIES:
            wanted = parse_node(job.document.encode())
            path = parse_uri(wanted.uri, self._space.authorities)
            return _counts(self._branches.change(asker, path, change_of(wanted.properties), running.step))
        return {"transferDetails": DETAILS, **self._transfer(running, asker)}

    def counted(self, job: Job) -> Mapping[str, str]:
        """See `runner.Work`."""
        return _counts(job.progress) if job.kind in RESUMED and job.progress else {}

    def _asker(self, job: Job) -> Asker:
        """Return who the job acts for. Rights that were lost while it waited are lost here too."""
        person = self._holder(job.owner_id, job.credential.name) if self._holder else None
        return Asker(
            person_id=job.owner_id,
            user_name=job.owner_name,
            is_admin=job.credential.is_admin and (person is None or person.is_admin),
            groups=self._space.groups(job.owner_id),
            may_read=job.credential.may_read,
            may_write=job.credential.may_write,
            confined=job.credential.confined,
            credential=job.credential.name,
            job=self._space.witness.job(job.credential.job, job.owner_id),
        )

    def _transfer(self, running: Running, asker: Asker) -> Mapping[str, str]:
        transfer = parse_transfer(running.job.document.encode())
        if transfer.view == PACKAGE_VIEW and transfer.direction == PULL:
            format_of(transfer)
            offered(transfer)
            self._packages.check(asker, self._packages.targets(transfer))
            return {}
        if transfer.direction in CLIENT_MOVES:
            path = self._negotiation.check(asker, transfer)
            asked = parse_uri(transfer.target, self._space.authorities)
            made = {"target": self._negotiation.uri(path)} if path != asked else {}
            return {"dataNode": self._negotiation.uri(path), **made}
        path = self._negotiation.one_target(transfer)
        if transfer.direction == PULL_TO:
            return self._pull(running, asker, transfer, path)
        if transfer.direction == PUSH_FROM:
            return self._push(running, asker, transfer, path)
        return self._inside(asker, transfer, path)

    def _inside(self, asker: Asker, transfer: TransferDocument, source: VOSPath) -> Mapping[str, str]:
        """Copy or move within the tree. Nothing comes out of `.null` again: to move there is to delete."""
        if not transfer.direction.startswith("vos:"):
            raise Invalid(
                "This is not a direction.",
                code="invalid_argument",
                facts={"field": "direction", "direction": transfer.direction[:100]},
                remedy="Use a word of the standard or the URI of a node.",
            )
        goal = parse_uri(transfer.direction, self._space.authorities)
        act = self._space.copy if transfer.keep_bytes else self._space.move
        there = act(asker, source, goal).path
        return {} if goal.name == NULL else {"destination": self._negotiation.uri(there)}

    def _pull(
        self, running: Running, asker: Asker, transfer: TransferDocument, asked: VOSPath
    ) -> Mapping[str, str]:
        """Fetch bytes from elsewhere into a node; from the first of the endpoints that gives them whole."""
        path = self._negotiation.goal_of_bytes(asker, asked)
        made = {"target": self._negotiation.uri(path)} if path != asked else {}

        def fetch(protocol: Protocol) -> None:
            with self._courier.fetch(protocol.endpoint) as arrival:
                if path.name == NULL:
                    for _ in arrival.chunks:
                        running.note()
                    return
                upload = self._space.begin_upload(
                    asker, path, length=arrival.length, md5=arrival.md5, content_type=arrival.content_type
                )
                try:
                    octets = 0
                    for chunk in arrival.chunks:
                        upload.write(chunk)
                        octets += len(chunk)
                        running.note(bytes=octets)
                    upload.commit()
                finally:
                    upload.abort()

        self._first_of(running, transfer, fetch)
        return {"dataNode": self._negotiation.uri(path), **made}

    def _push(
        self, running: Running, asker: Asker, transfer: TransferDocument, path: VOSPath
    ) -> Mapping[str, str]:
        """Send a node's bytes elsewhere; to the first of the endpoints that takes them."""
        self._negotiation.check_view(transfer, whole=True)
        node = self._space.open_bytes(asker, path, head=True).node

        def send(protocol: Protocol) -> None:
            def chunks() -> Iterator[bytes]:
                opened = self._space.open_bytes(asker, path)
                if opened.node.blob != node.blob:
                    raise Unavailable(
                        f"{path} was written meanwhile.", code="transfer_failed", remedy="Ask again."
                    )
                octets = 0
                for chunk in opened.chunks:
                    yield chunk
                    octets += len(chunk)
                    running.note(bytes=octets)

            self._courier.send(
                protocol.endpoint,
                length=node.length,
                md5=node.md5,
                content_type=node.content_type,
                chunks=chunks,
            )

        self._first_of(running, transfer, send)
        return {"dataNode": self._negotiation.uri(path)}

    @staticmethod
    def _first_of(running: Running, transfer: TransferDocument, attempt: Callable[[Protocol], None]) -> None:
        """Try the endpoints in turn, each once, until one has done it."""
        failures: list[ArmillaryError] = []
        for protocol in carried(transfer):
            running.note()
            try:
                attempt(protocol)
            except (Unavailable, Forbidden, PreconditionFailed, Invalid) as error:
                if error.code not in _ANOTHER_MAY_DO:
                    raise
                failures.append(error)
            else:
                return
        if len(failures) == 1:
            raise failures[0]
        raise Unavailable(
            "None of the endpoints did it: " + " ".join(error.message for error in failures),
            code="transfer_failed",
            facts={"endpoints": len(failures)},
            remedy="Look whether they can be reached.",
        )


def _counts(progress: Mapping[str, int]) -> dict[str, str]:
    """Return counts as the stock client reads them. It takes the mere presence of an error count for failure."""
    done, refused = progress.get("done", 0), progress.get("refused", 0)
    return {"successcount": f"final:{done}"} | ({"errorcount": f"final:{refused}"} if refused else {})
