"""Images that jobs wait for are looked into, once, without anybody asking."""

from __future__ import annotations

from datetime import timedelta

from armillary.base.clock import VirtualClock
from armillary.base.errors import NotFound
from armillary.base.ids import ProjectId, Sha512
from armillary.batch.inspecting import Inspecting
from armillary.batch.model import Demand, Group

GALAXIES, COMETS = ProjectId("galaxies"), ProjectId("comets")
ONE, OTHER = Sha512("1" * 128), Sha512("2" * 128)


class Desk:
    """Some demand, and what was looked into."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.groups = [
            Group(GALAXIES, ONE, "small"),
            Group(COMETS, ONE, "large"),
            Group(COMETS, OTHER, "small"),
        ]
        self.known: set[str] = set()
        self.looks: list[tuple[ProjectId, Sha512]] = []
        self.gone: set[Sha512] = set()
        self.inspecting = Inspecting(
            demand=lambda: [Demand(group=group, shapes=(), since=self.clock.now()) for group in self.groups],
            has=self.known.__contains__,
            look=self._look,
            clock=self.clock,
        )

    def _look(self, project: ProjectId, image: Sha512) -> None:
        self.looks.append((project, image))
        if image in self.gone:
            raise NotFound("no cloud has it")


def test_each_image_that_jobs_wait_for_is_looked_into_once() -> None:
    desk = Desk()
    for _ in range(3):
        desk.inspecting.tick()
        desk.clock.advance(timedelta(minutes=1))
    assert sorted(image for _, image in desk.looks) == [ONE, OTHER]


def test_an_image_that_somebody_has_looked_into_is_not_fetched() -> None:
    desk = Desk()
    desk.known |= {ONE, OTHER}
    desk.inspecting.tick()
    assert desk.looks == []


def test_what_cannot_be_read_stops_no_other_and_is_tried_again_the_next_day() -> None:
    desk = Desk()
    desk.gone.add(OTHER)
    desk.inspecting.tick()
    desk.known.add(ONE)
    desk.clock.advance(timedelta(hours=23))
    desk.inspecting.tick()
    assert len(desk.looks) == 2
    desk.clock.advance(timedelta(hours=1))
    desk.inspecting.tick()
    assert desk.looks[2:] == [(COMETS, OTHER)]
