"""Images that jobs wait for are looked into, once, without anybody asking."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

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


def test_what_cannot_be_read_stops_no_other_and_is_tried_again_soon_and_then_ever_later() -> None:
    desk = Desk()
    desk.gone.add(OTHER)
    desk.inspecting.tick()
    desk.known.add(ONE)
    began, tried = desk.clock.now(), list[float]()
    while len(tried) < 10:
        desk.clock.advance(timedelta(minutes=1))
        before = len(desk.looks)
        desk.inspecting.tick()
        if len(desk.looks) > before:
            tried.append((desk.clock.now() - began) / timedelta(minutes=10))
    assert [later - sooner for sooner, later in pairwise([0, *tried])] == [
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        128,
        144,
        144,
    ]
    assert desk.looks[2:] == [(COMETS, OTHER)] * 10
