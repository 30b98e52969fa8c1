"""The image service alone, over a database file and a folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from armillary.accounts.model import Allocation, Person, Principal, Project, Role
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.ids import PersonId, ProjectId, Sha512
from armillary.base.units import Bytes, GiB, MiB
from armillary.cloud.images.model import Declared, Image
from armillary.cloud.images.service import ImageService

_START = datetime(2026, 1, 1, tzinfo=UTC)


def principal(name: str, *, project: str = "m51", role: Role = Role.MEMBER, admin: bool = False) -> Principal:
    """Somebody with a role in a project."""
    figures = Allocation(cores=1, ram=MiB(1), disk=GiB(1), storage=GiB(1), batch_cores=0)
    return Principal(
        person=Person(
            id=PersonId(name), user_name=name, full_name=name, email="", institute="", is_admin=admin,
            enabled=True, created_at=_START,
        ),
        project=Project(
            id=ProjectId(project), name=project, description="", allocation=figures, enabled=True,
            created_at=_START,
        ),
        roles=role.implied,
    )  # fmt: skip


class Bench:
    """The service with what a test does to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = VirtualClock()
        self.used: set[Sha512] = set()
        self.restart()

    def restart(self) -> None:
        """Begin again from what is on disk."""
        self.images = ImageService(
            engine=make_engine(f"sqlite:///{self.directory}/images.db", durable=False),
            directory=self.directory / "images",
            clock=self.clock,
            in_use=lambda sha512: sha512 in self.used,
            largest=Bytes(1000),
        )
        self.images.recover()

    def queued(self, who: Principal, name: str | None = "base", **attributes: object) -> Image:
        formats = {"disk_format": "raw", "container_format": "bare"}
        return self.images.create(who, {"name": name, **formats, **attributes})

    def upload(self, who: Principal, image: Image, content: bytes, declared: Declared | None = None) -> Image:
        with self.images.receiving(who, image.id, declared or Declared()) as arrival:
            arrival.write(content)
            return self.images.complete(image.id, arrival)

    def active(self, who: Principal, content: bytes = b"content", **attributes: object) -> Image:
        return self.upload(who, self.queued(who, "base", **attributes), content)

    def status(self, image: Image) -> str:
        return self.images.show(principal("root", admin=True), image.id).status.value

    def files(self) -> list[str]:
        """Everything that lies in the folder."""
        return sorted(path.name for path in (self.directory / "images").rglob("*") if path.is_file())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def someone() -> Callable[..., Principal]:
    return principal


@pytest.fixture
def ada() -> Principal:
    """A member of project m51."""
    return principal("ada")


@pytest.fixture
def bob() -> Principal:
    """A member of project ngc253."""
    return principal("bob", project="ngc253")
