"""Copies images between clouds: streamed, verified, one copy at a time per cloud and digest."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName, ImageId, Sha512
from armillary.fleet.model import FleetImage
from armillary.fleet.ports import Cloud


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


class Copying:
    """Brings an image to the cloud where it is wanted."""

    def __init__(self, *, clouds: Mapping[CloudName, Cloud]) -> None:
        self._clouds = clouds
        self._locks = KeyedLocks()

    def ensure(self, cloud: CloudName, project: Project, sha512: Sha512) -> ImageId:
        """Return the id of the active image with that digest on `cloud`, copied there if need be."""
        there = self._active(cloud, project, sha512)
        if there:
            return there.id
        with self._locks.hold((cloud, sha512)):
            there = self._active(cloud, project, sha512)  # another may have brought it while we waited
            if there:
                return there.id
            return self._copy(cloud, project, sha512).id

    def _copy(self, cloud: CloudName, project: Project, sha512: Sha512) -> FleetImage:
        failure: ArmillaryError | None = None
        for name, source in self._clouds.items():
            if name == cloud:
                continue
            try:
                image = self._active(name, project, sha512)
                if not image:
                    continue
                chunks = source.images.open(project, image.id)
                return self._clouds[cloud].images.upload(project, image, chunks)
            except ArmillaryError as error:
                failure = error  # another cloud may still have it whole
        raise failure or NotFound(
            "No cloud has an active image with this digest.",
            code="image_not_found",
            facts={"sha512": sha512, "cloud": cloud},
            remedy="Upload the image to one of the clouds.",
        )

    def _active(self, cloud: CloudName, project: Project, sha512: Sha512) -> FleetImage | None:
        for image in self._clouds[cloud].images.images(project):
            if image.sha512 == sha512 and image.status == "active":
                return image
        return None
