"""Keeps a cluster for ever: its crate in VOSpace, where nothing changes, its image on its clouds, and a DOI to cite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from armillary.accounts.model import Principal, Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, NotFound
from armillary.base.ids import CloudName, ClusterId, ImageId, ProjectId, Sha512
from armillary.crates.describing import descriptions
from armillary.crates.layout import Crate
from armillary.fleet.model import FleetImage
from armillary.provenance.doi import Registrar, Work
from armillary.provenance.exporting import Exports, Target
from armillary.provenance.frozen_store import Frozen, FrozenStore
from armillary.vospace.paths import VOSPath

_FOLDER = "frozen"


class Space(Protocol):
    """VOSpace as far as bundles need it."""

    def exists(self, who: Principal, path: VOSPath) -> bool: ...

    def make_folder(self, who: Principal, path: VOSPath) -> None: ...

    def write(self, who: Principal, path: VOSPath, chunks: Iterator[bytes], size: int) -> None: ...

    def delete(self, who: Principal, path: VOSPath) -> None: ...

    def freeze(self, who: Principal, path: VOSPath, name: str) -> int: ...

    def thaw(self, who: Principal, path: VOSPath, name: str) -> int: ...

    def is_public(self, path: VOSPath) -> bool: ...


class Images(Protocol):
    """The clouds' images: `FleetService`."""

    def clouds(self) -> Sequence[CloudName]: ...

    def images(self, cloud: CloudName, project: Project) -> list[FleetImage]: ...

    def protect_image(
        self, cloud: CloudName, project: Project, image_id: ImageId, *, protected: bool
    ) -> None: ...


class Freezes:
    """Freezes clusters. Whoever may see a cluster may freeze it, into a folder that is theirs."""

    def __init__(
        self,
        *,
        exports: Exports,
        store: FrozenStore,
        space: Space,
        images: Images,
        project: Callable[[ProjectId], Project],
        registrar: Registrar | None,
        clock: Clock,
        platform: str,
    ) -> None:
        """`platform` is our address; without a `registrar` there are no DOIs."""
        self._exports = exports
        self._store = store
        self._space = space
        self._images = images
        self._project = project
        self._registrar = registrar
        self._clock = clock
        self._platform = platform.rstrip("/")

    def freeze(self, who: Principal, cluster: ClusterId, *, to: VOSPath | None, title: str | None) -> Frozen:
        """Write the crate of a cluster into VOSpace, and have it and the image stay. After a failure nothing stays.

        Raises:
            Conflict: it is frozen already, jobs of it are not over, the folder is there, or contents are gone.
        """
        known = self._store.find(cluster)
        if known is not None:
            raise Conflict(
                f"cluster {cluster} is frozen already, at {known.path}",
                code="frozen_already",
                facts={"cluster": cluster, "path": known.path},
                remedy=f"To do it anew: armillary unfreeze {cluster}",
            )
        crate = self._exports.crate(who, Target(cluster=cluster))
        record = crate.cluster.document
        if len(crate.jobs) < record.jobs:
            raise Conflict(
                f"{record.jobs - len(crate.jobs)} of {record.jobs} jobs have no record yet",
                code="cluster_not_over",
                facts={"jobs": record.jobs, "recorded": len(crate.jobs)},
                remedy=f"Wait for their end: armillary watch {cluster}",
            )
        self._exports.require_contents(who, crate)
        path = to or VOSPath(("home", who.person.user_name, _FOLDER, f"cluster-{cluster}"))
        if self._space.exists(who, path):
            raise Conflict(
                f"{path} is there already", code="duplicate_node", remedy="Name another with --to."
            )
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
        try:
            self._write(who, path, crate)
            self._store.put(made)  # before anything is frozen, so that unfreeze always finds it
            self._space.freeze(who, path, str(cluster))
            made = replace(made, image_kept=self._protect(made, protected=True))
            self._store.put(made)
        except BaseException:
            self._undo(who, made, path)
            raise
        return made

    def unfreeze(self, who: Principal, cluster: ClusterId) -> Frozen:
        """Let the bundle and, unless another needs it, the image go. They stay, until somebody deletes them.

        Raises:
            NotFound: it is not frozen. Forbidden: it is neither theirs, nor are they an administrator.
            Conflict: it has a DOI that is public, code `doi_is_public`.
        """
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
        self._store.remove(cluster)
        if not self._store.of_image(found.image):
            self._protect(found, protected=False)
        return found

    def cite(self, who: Principal, cluster: ClusterId, *, publish: bool) -> Frozen:
        """Give a frozen cluster a DOI: a draft, or with `publish` one for ever, once its folder is public.

        Raises:
            Unavailable: `doi_not_configured`, `doi_failed`. Conflict: the folder is not public, `not_public`.
        """
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

    def is_public(self, found: Frozen) -> bool:
        """Whether everybody may read the bundle."""
        return self._space.is_public(VOSPath.parse(found.path))

    def page_of(self, cluster: int) -> str:
        """Return the address of the landing page."""
        return f"{self._platform}/frozen/{cluster}"

    def _write(self, who: Principal, path: VOSPath, crate: Crate) -> None:
        folders: set[VOSPath] = set()

        def put(name: str, chunks: Iterator[bytes], size: int) -> None:
            place = VOSPath((*path.names, *name.split("/")))
            if place.parent not in folders:
                self._space.make_folder(who, place.parent)
                folders.add(place.parent)
            self._space.write(who, place, chunks, size)

        for entry in crate.papers():
            put(entry.path, iter([entry.data or b""]), entry.size)
        for name, data in descriptions(crate).items():
            put(name, iter([data]), len(data))
        for entry in crate.contents():
            put(entry.path, self._exports.chunks(who, entry), entry.size)

    def _undo(self, who: Principal, made: Frozen, path: VOSPath) -> None:
        if self._space.exists(who, path):
            self._space.thaw(who, path, str(made.cluster))
            self._space.delete(who, path)
        self._store.remove(made.cluster)

    def _protect(self, found: Frozen, *, protected: bool) -> list[str]:
        """Have clouds keep the image, or let it go; return which did. What is another's is theirs to keep."""
        project = self._project(ProjectId(found.project))
        done: list[str] = []
        for cloud in self._images.clouds() if protected else [CloudName(name) for name in found.image_kept]:
            try:
                for image in self._images.images(cloud, project):
                    if image.sha512 == Sha512(found.image):
                        self._images.protect_image(cloud, project, image.id, protected=protected)
                        done.append(str(cloud))
            except ArmillaryError:
                continue  # out of reach, or a public image of somebody else: the bundle has its digest
        return done

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

    def _work(self, who: Principal, found: Frozen) -> Work:
        crate = self._exports.crate(who, Target(cluster=ClusterId(found.cluster)))
        owner = crate.cluster.document.owner.name
        return Work(
            title=found.title,
            creators=(who.person.full_name if found.person == who.person.id else owner,),
            publisher=crate.cluster.document.project.name,
            year=found.at.year,
            url=self.page_of(found.cluster),
            description=f"{len(crate.jobs)} jobs on machine image sha512 {found.image}, with signed records.",
        )
