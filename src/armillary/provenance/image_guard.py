"""Has clouds keep the images of what is frozen, and leaves what their owners had them keep before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ImageId, ProjectId, Sha512
from armillary.fleet.model import FleetImage
from armillary.provenance.frozen_store import Frozen, FrozenStore


class Images(Protocol):
    """The clouds' images: `FleetService`."""

    def clouds(self) -> Sequence[CloudName]: ...

    def images(self, cloud: CloudName, project: Project) -> list[FleetImage]: ...

    def protect_image(
        self, cloud: CloudName, project: Project, image_id: ImageId, *, protected: bool
    ) -> None: ...


class ImageGuard:
    """Protects a project's own copies of an image. What is another's is theirs to keep."""

    def __init__(
        self, *, store: FrozenStore, images: Images, project: Callable[[ProjectId], Project]
    ) -> None:
        self._store = store
        self._images = images
        self._project = project

    def keep(self, found: Frozen) -> list[str]:
        """Have all clouds that answer keep the image; return which do."""
        project = self._project(ProjectId(found.project))
        ours = {cloud for one in [found, *self.heirs(found)] for cloud in one.image_kept}
        done: list[str] = []
        for cloud in self._images.clouds():
            for image in self._copies(cloud, project, found.image):
                # noted before it is done: after a kill it would be taken for its owner's wish
                before = image.is_protected and str(cloud) not in ours
                self._store.guard(found.project, found.image, str(cloud), image.id, before=before)
                if self._protect(cloud, project, image.id, protected=True):
                    done.append(str(cloud))
        return list(dict.fromkeys(done))

    def let_go(self, found: Frozen) -> None:
        """Have the image be as it was before, unless something else that is frozen needs it: that inherits it."""
        if heirs := self.heirs(found):
            # it is theirs to let go now, also on clouds that did not answer when they were frozen
            self._store.keep(heirs[0].cluster, found.image_kept)
            return
        # before it is forgotten: or a kill would leave it kept for ever
        project = self._project(ProjectId(found.project))
        own = self._store.guarded_before(found.project, found.image)
        for name in found.image_kept:
            for image in self._copies(CloudName(name), project, found.image):
                if (name, str(image.id)) not in own:
                    self._protect(CloudName(name), project, image.id, protected=False)
        self._store.forget_guards(found.project, found.image)
        for other in self.heirs(found):  # one was frozen in the meantime
            self.keep(other)

    def heirs(self, found: Frozen) -> list[Frozen]:
        """Return what else needs the same copies of an image: what else of the project ran on it."""
        return [
            one
            for one in self._store.of_image(found.image)
            if one.cluster != found.cluster and one.project == found.project
        ]

    def _copies(self, cloud: CloudName, project: Project, sha512: str) -> Iterator[FleetImage]:
        try:
            images = self._images.images(cloud, project)
        except ArmillaryError:
            return  # out of reach: the bundle has its digest
        yield from (image for image in images if image.sha512 == Sha512(sha512))

    def _protect(self, cloud: CloudName, project: Project, image_id: ImageId, *, protected: bool) -> bool:
        try:
            self._images.protect_image(cloud, project, image_id, protected=protected)
        except ArmillaryError:
            return False  # out of reach, or a public image of somebody else
        return True
