"""Keeps a cluster for ever: its crate in VOSpace, where nothing changes, its image on its clouds, and a DOI to cite."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, NotFound
from armillary.base.ids import ClusterId
from armillary.batch.seeing import need_write
from armillary.crates.describing import descriptions
from armillary.crates.layout import IMAGE, Crate
from armillary.provenance.authors import Authors
from armillary.provenance.bundling import Bundles, no_room
from armillary.provenance.doi import Registrar, Work
from armillary.provenance.exporting import Exports, Target
from armillary.provenance.frozen_store import Frozen, FrozenStore
from armillary.provenance.gaps import impossible
from armillary.provenance.image_guard import ImageGuard
from armillary.vospace.paths import VOSPath

_FOLDER = "frozen"


class Space(Protocol):
    """VOSpace as far as what is frozen there needs it."""

    def exists(self, who: Principal, path: VOSPath) -> bool: ...

    def freeze(self, who: Principal, path: VOSPath, name: str) -> int: ...

    def thaw(self, who: Principal, path: VOSPath, name: str) -> int: ...

    def is_public(self, path: VOSPath) -> bool: ...

    def room(self, who: Principal, path: VOSPath) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What freezing would write, and why it would be refused. `room`: bytes that are left there; None: no limit."""

    path: VOSPath
    jobs: int
    files: int
    octets: int
    room: int | None
    refusals: Sequence[ArmillaryError]


class Freezes:
    """Freezes clusters. Whoever may see a cluster may freeze it, into a folder that is theirs."""

    def __init__(
        self,
        *,
        exports: Exports,
        store: FrozenStore,
        space: Space,
        guard: ImageGuard,
        bundles: Bundles,
        authors: Authors,
        registrar: Registrar | None,
        clock: Clock,
        platform: str,
    ) -> None:
        """`platform` is our address; without a `registrar` there are no DOIs."""
        self._exports = exports
        self._store = store
        self._space = space
        self._guard = guard
        self._bundles = bundles
        self._authors = authors
        self._registrar = registrar
        self._clock = clock
        self._platform = platform.rstrip("/")
        self._lock = threading.Lock()
        self._busy: set[int] = set()

    @property
    def can_cite(self) -> bool:
        """Whether this platform gives DOIs."""
        return self._registrar is not None

    def ahead(
        self, who: Principal, cluster: ClusterId, *, to: VOSPath | None, with_image: bool = False
    ) -> Ahead:
        """Say what `freeze` would do, and all that it would refuse.

        Raises:
            NotFound: there is no such cluster for the caller, or no job of it is over.
        """
        crate = self._exports.crate(who, Target(cluster=cluster))
        path = to or _usual_place(who, cluster)
        entries = [*crate.papers(), *crate.contents()]
        described = descriptions(crate)
        octets = sum(entry.size for entry in entries) + sum(len(data) for data in described.values())
        room = self._space.room(who, path)
        refusals = list(self._refusals(who, crate, path))
        if with_image:
            try:
                octets += self._bundles.image_size(who, crate)
            except ArmillaryError as nowhere:
                refusals.append(nowhere)
        if room is not None and octets > room:
            refusals.append(no_room(octets, room))
        return Ahead(
            path=path,
            jobs=len(crate.jobs),
            files=len(entries) + len(described),
            octets=octets,
            room=room,
            refusals=refusals,
        )

    def freeze(
        self,
        who: Principal,
        cluster: ClusterId,
        *,
        to: VOSPath | None,
        title: str | None,
        with_image: bool = False,
    ) -> Frozen:
        """Write the crate of a cluster into VOSpace, and have it and the image stay. After a failure nothing stays.

        `with_image`: the bytes of the machine image, too, and not only its digest.

        Raises:
            Conflict: it is frozen already, jobs of it are not over, the folder is there, or contents are gone.
            QuotaExceeded: the folder's owner has no room for it.
        """
        crate = self._exports.crate(who, Target(cluster=cluster))
        path = to or _usual_place(who, cluster)
        with self._alone(who, cluster):
            self._lock_again(who, cluster)
            self._bundles.sweep(who, cluster)
            for refusal in self._refusals(who, crate, path):
                raise refusal
            return self._freeze(who, crate, path, title=title, with_image=with_image)

    def _freeze(
        self, who: Principal, crate: Crate, path: VOSPath, *, title: str | None, with_image: bool
    ) -> Frozen:
        record = crate.cluster.document
        cluster = ClusterId(record.cluster)
        made = Frozen(
            cluster=cluster,
            person=who.person.id,
            project=record.project.id or "",
            path=str(path),
            title=title or record.batch_name or f"Cluster {cluster}",
            image=record.image.sha512,
            image_kept=[],
            at=self._clock.now(),
        )
        self._bundles.write(who, path, crate, with_image=with_image)
        try:
            self._store.put(made)  # before anything is frozen, so that unfreeze always finds it
            self._space.freeze(who, path, str(cluster))
            made = replace(made, image_kept=self._guard.keep(made))
            self._store.put(made)
        except BaseException:
            self._bundles.undo(who, path, cluster)
            self._store.remove(cluster)
            raise
        return made

    def unfreeze(self, who: Principal, cluster: ClusterId) -> Frozen:
        """Let the bundle and, unless another needs it, the image go. They stay, until somebody deletes them.

        Raises:
            NotFound: it is not frozen. Forbidden: it is neither theirs, nor are they an administrator.
            Conflict: it has a DOI that is public, code `doi_is_public`.
        """
        with self._alone(who, cluster):
            return self._unfreeze(who, cluster)

    def _unfreeze(self, who: Principal, cluster: ClusterId) -> Frozen:
        found = self._owned(who, cluster)
        if found.doi_state == "findable" and not who.person.is_admin:
            raise Conflict(
                f"cluster {cluster} is cited as {found.doi}",
                code="doi_is_public",
                facts={"doi": found.doi},
                remedy="An administrator can unfreeze it; the DOI stays, and must lead to a note.",
            )
        if found.doi and found.doi_state == "draft" and self._registrar:
            self._registrar.discard(found.doi)
        path = VOSPath.parse(found.path)
        if self._space.exists(who, path):
            self._space.thaw(who, path, str(cluster))
        self._guard.let_go(found)
        self._store.remove(cluster)
        return found

    def cite(self, who: Principal, cluster: ClusterId, *, publish: bool) -> Frozen:
        """Give a frozen cluster a DOI: a draft, or with `publish` one for ever, once its folder is public.

        Raises:
            NotFound: `doi_not_configured`. Unavailable: `doi_failed`. Conflict: the folder is not public, `not_public`.
        """
        with self._alone(who, cluster):
            return self._cite(who, cluster, publish=publish)

    def _cite(self, who: Principal, cluster: ClusterId, *, publish: bool) -> Frozen:
        found = self._owned(who, cluster)
        if self._registrar is None:
            raise NotFound(
                "this platform gives no DOIs",
                code="doi_not_configured",
                remedy="An administrator sets [doi]: see docs/reference/settings.md",
            )
        if publish and not self._space.is_public(VOSPath.parse(found.path)):
            raise Conflict(
                f"{found.path} is not open to everybody",
                code="not_public",
                facts={"path": found.path},
                remedy=f"Share it first: vchmod -R o+r vos:{found.path.lstrip('/')}",
            )
        work = self._work(who, found)
        doi = found.doi
        if doi is None:
            doi = self._registrar.draft(work)
            self._store.cite(cluster, doi, "draft")
        if publish:
            self._registrar.publish(doi, work)
            self._store.cite(cluster, doi, "findable")
        return replace(found, doi=doi, doi_state="findable" if publish else found.doi_state or "draft")

    def find(self, cluster: ClusterId) -> Frozen | None:
        """Return what is known of a frozen cluster, whoever asks: show only what they may see."""
        return self._store.find(cluster)

    def author_of(self, found: Frozen) -> str:
        """Return whose work it is: in its citation as with its DOI."""
        return self._authors.of(ClusterId(found.cluster))

    def is_public(self, found: Frozen) -> bool:
        """Whether everybody may read the bundle."""
        return self._space.is_public(VOSPath.parse(found.path))

    def has_image(self, who: Principal, found: Frozen) -> bool:
        """Whether the bytes of the machine image are in the bundle."""
        path = VOSPath.parse(found.path)
        return self._space.exists(who, VOSPath((*path.names, *IMAGE.split("/"))))

    def page_of(self, cluster: int) -> str:
        """Return the address of the landing page."""
        return f"{self._platform}/frozen/{cluster}"

    def _refusals(self, who: Principal, crate: Crate, path: VOSPath) -> Iterator[ArmillaryError]:
        record = crate.cluster.document
        known = self._store.find(record.cluster)
        if known is not None:
            yield Conflict(
                f"cluster {record.cluster} is frozen already, at {known.path}",
                code="frozen_already",
                facts={"cluster": record.cluster, "path": known.path},
                remedy=f"To do it anew: armillary unfreeze {record.cluster}",
            )
        if gaps := self._exports.unrecorded(who, ClusterId(record.cluster)):
            yield impossible(gaps[0])
        elif len(crate.jobs) < record.jobs:
            yield Conflict(
                f"{record.jobs - len(crate.jobs)} of {record.jobs} jobs have no record yet",
                code="cluster_not_over",
                facts={"jobs": record.jobs, "recorded": len(crate.jobs)},
                remedy=f"Wait for their end: armillary watch {record.cluster}",
            )
        try:
            self._exports.require_contents(who, crate)
        except ArmillaryError as gone:
            yield gone
        if self._space.exists(who, path):
            yield Conflict(
                f"{path} is there already",
                code="duplicate_node",
                facts={"path": str(path)},
                remedy="Name another with --to.",
            )

    def _owned(self, who: Principal, cluster: ClusterId) -> Frozen:
        found = self._store.find(cluster)
        if found is None:
            raise NotFound(
                f"cluster {cluster} is not frozen",
                code="not_frozen",
                facts={"cluster": cluster},
                remedy=f"Freeze it: armillary freeze {cluster}",
            )
        if found.person != who.person.id and not who.person.is_admin:
            raise Forbidden(
                f"cluster {cluster} was frozen by somebody else", remedy="Ask them, or an administrator."
            )
        return found

    def _lock_again(self, who: Principal, cluster: ClusterId) -> None:
        """Lock a bundle of the caller's, and its image, that was written and noted when the platform was killed."""
        known = self._store.find(cluster)
        if known is None or known.person != who.person.id:
            return
        path = VOSPath.parse(known.path)
        if self._space.exists(who, path):
            self._space.freeze(who, path, str(cluster))
            if not known.image_kept:
                self._store.put(replace(known, image_kept=self._guard.keep(known)))

    @contextmanager
    def _alone(self, who: Principal, cluster: int) -> Generator[None]:
        """Do one thing at a time to a cluster: of two that freeze it at once the second would undo what the first has done.

        Raises:
            Forbidden: by a credential that changes nothing of batch, such as a job's.
        """
        need_write(who)
        with self._lock:
            if cluster in self._busy:
                raise Conflict(
                    f"cluster {cluster} is being frozen, unfrozen or cited at this moment",
                    code="freeze_under_way",
                    facts={"cluster": cluster},
                    remedy="Wait until that is over.",
                )
            self._busy.add(cluster)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(cluster)

    def _work(self, who: Principal, found: Frozen) -> Work:
        crate = self._exports.crate(who, Target(cluster=ClusterId(found.cluster)))
        return Work(
            title=found.title,
            creators=(self.author_of(found),),
            publisher=crate.cluster.document.project.name,
            year=found.at.year,
            url=self.page_of(found.cluster),
            description=f"{len(crate.jobs)} jobs on machine image sha512 {found.image}, with signed records.",
        )


def _usual_place(who: Principal, cluster: ClusterId) -> VOSPath:
    return VOSPath(("home", who.person.user_name, _FOLDER, f"cluster-{cluster}"))
