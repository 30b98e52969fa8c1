"""Copies images between clouds: streamed, verified, one copy at a time per cloud and digest."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, NotFound, Unavailable
from armillary.base.ids import CloudName, ImageId, Sha512
from armillary.fleet.model import COPY_MARK, FleetImage
from armillary.fleet.ports import Cloud

log = logging.getLogger(__name__)

BREAKS = 20
"""How often in a row the bytes may break off, without a new one, before the copy is given up."""


class KeyedLocks:
    """A lock per key, kept only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[object, threading.Lock] = defaultdict(threading.Lock)
        self._users: dict[object, int] = defaultdict(int)

    @contextmanager
    def hold(self, key: object) -> Generator[None]:
        """Hold the key's lock."""
        with self._guard:
            lock = self._locks[key]
            self._users[key] += 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key], self._locks[key]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy under way: how many bytes have left the source so far."""

    began_at: datetime
    done: int = 0
    size: int = 0
    source: CloudName | None = None


class Copying:
    """Brings an image to the cloud where it is wanted."""

    def __init__(self, *, clouds: Mapping[CloudName, Cloud], clock: Clock) -> None:
        self._clouds = clouds
        self._clock = clock
        self._locks = KeyedLocks()
        self._guard = threading.Lock()
        self._under_way: dict[tuple[CloudName, Sha512], Copy] = {}

    def under_way(self) -> dict[tuple[CloudName, Sha512], Copy]:
        """Return the copies that are being made now, by the cloud that they go to and their digest."""
        with self._guard:
            return dict(self._under_way)

    def ensure(self, cloud: CloudName, project: Project, sha512: Sha512) -> ImageId:
        """Return the id of the active image with that digest on `cloud`, copied there if need be."""
        there = self._active(cloud, project, sha512)
        if there:
            return there.id
        with self._locks.hold((cloud, sha512)):
            there = self._active(cloud, project, sha512)  # another may have brought it while we waited
            if there:
                return there.id
            with self._told(cloud, sha512):
                self._sweep(cloud, project, sha512)
                return self._copy(cloud, project, sha512).id

    @contextmanager
    def _told(self, cloud: CloudName, sha512: Sha512) -> Generator[None]:
        self._note(cloud, sha512, Copy(began_at=self._clock.now()))
        try:
            yield
        finally:
            with self._guard:
                del self._under_way[cloud, sha512]

    def _note(self, cloud: CloudName, sha512: Sha512, copy: Copy) -> None:
        with self._guard:
            self._under_way[cloud, sha512] = copy

    def _sweep(self, cloud: CloudName, project: Project, sha512: Sha512) -> None:
        """Remove what a copy left there that we did not live to finish: it would never become active."""
        images = self._clouds[cloud].images
        for image in images.images(project):
            if image.status != "active" and image.properties.get(COPY_MARK) == sha512:
                log.warning("image %s on %s is a copy that was not finished; deleting it", image.id, cloud)
                images.delete(project, image.id)

    def _copy(self, cloud: CloudName, project: Project, sha512: Sha512) -> FleetImage:
        sources, failure = self._sources(cloud, project, sha512)
        for image in sources:
            # Each source is tried as the first: when the copy differs, its own bytes may have been to blame.
            order = [image, *(other for other in sources if other is not image)]
            like = replace(image, properties={**image.properties, COPY_MARK: sha512})
            try:
                return self._clouds[cloud].images.upload(project, like, self._bytes(cloud, project, order))
            except ArmillaryError as error:
                failure = error  # another cloud may still have it whole
        raise failure or NotFound(
            "No cloud has an active image with this digest.",
            code="image_not_found",
            facts={"sha512": sha512, "cloud": cloud},
            remedy="Upload the image to one of the clouds.",
        )

    def _sources(
        self, cloud: CloudName, project: Project, sha512: Sha512
    ) -> tuple[list[FleetImage], ArmillaryError | None]:
        found: list[FleetImage] = []
        failure: ArmillaryError | None = None
        for name in self._clouds:
            if name != cloud:
                try:
                    image = self._active(name, project, sha512)
                except ArmillaryError as error:
                    failure = error
                    continue
                found += [image] if image else []
        return found, failure

    def _bytes(self, to: CloudName, project: Project, sources: list[FleetImage]) -> Iterator[bytes]:
        """Yield the image's bytes. When a source breaks off, the next one goes on where it stopped."""
        first = sources[0]
        digest = first.sha512 or Sha512("")
        began = self.under_way()[to, digest]
        done = idle = turn = 0
        while True:
            source = sources[turn % len(sources)]
            self._note(to, digest, replace(began, done=done, size=first.size, source=source.cloud))
            try:
                for chunk in self._clouds[source.cloud].images.open(project, source.id, offset=done):
                    done += len(chunk)
                    idle = 0
                    self._note(to, digest, replace(began, done=done, size=first.size, source=source.cloud))
                    yield chunk
                if done >= first.size:
                    return
                raise Unavailable(
                    f"The image broke off after {done} of {first.size} bytes.", code="image_broke_off"
                )
            except ArmillaryError as error:
                idle += 1
                if idle >= BREAKS:
                    raise
                log.info(
                    "image %s from %s: %s; going on at byte %d", first.name, source.cloud, error.message, done
                )
                turn += 1

    def _active(self, cloud: CloudName, project: Project, sha512: Sha512) -> FleetImage | None:
        for image in self._clouds[cloud].images.images(project):
            if image.sha512 == sha512 and image.status == "active":
                return image
        return None
