"""The audit trail: each request that asks for a change is in it before it is answered, and nothing leaves it early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from armillary.accounts.trail import Asked, Trail, changed, see
from armillary.app.audited import Audited
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock

Make = Callable[..., Trail]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def a_trail(tmp_path: Path, clock: VirtualClock) -> Make:
    def make(*, days: int = 365, most: int = 10**6) -> Trail:
        engine = make_engine(f"sqlite:///{tmp_path}/trail.db", durable=False)
        trail = Trail(database=engine, clock=clock, kept=timedelta(days=days), most=most)
        trail.create_all()
        return trail

    return make


def test_what_a_figure_was_and_is_now_is_kept_unless_it_was_refused(a_trail: Make) -> None:
    trail = a_trail()

    def answer(request: Request) -> Response:  # in a thread, as every endpoint that waits for records
        changed("m51: allocation, cores", 4, 16)
        changed("m51: allocation, disk", 50, 50)
        return Response(status_code=409 if "refused" in request.url.path else 200)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["PUT"])])
    client = TestClient(Audited(app, trail=trail, space=["/vault"]))
    client.put("/allocation")
    client.put("/refused")
    changed("outside of requests", 1, 2)
    assert [entry.said for entry in trail.entries(Asked(), limit=9)] == ["", "m51: allocation, cores: 4 → 16"]
    assert len(trail.entries(Asked(words="4 → 16"), limit=9)) == 1


def test_of_what_is_asked_all_day_only_changes_of_figures_are_kept(a_trail: Make) -> None:
    trail = a_trail()

    def answer(request: Request) -> Response:
        see(request.scope, "root")
        if request.url.path.endswith("/quota"):
            changed("/home/ada: quota", 1, 2)
        return Response()

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    client = TestClient(Audited(app, trail=trail, space=["/vault"]))
    client.post("/vault/bytes")
    client.post("/vault/quota")
    found = [(entry.who, entry.target, entry.said) for entry in trail.entries(Asked(), limit=9)]
    assert found == [("root", "/vault/quota", "/home/ada: quota: 1 → 2")]


def add(trail: Trail, *targets: str, who: str = "ada", status: int = 303) -> None:
    for target in targets:
        trail.note(who=who, act="POST", target=target, origin="127.0.0.1", status=status)


def test_who_did_what_from_where_and_how_it_went(a_trail: Make) -> None:
    trail = a_trail()

    def answer(request: Request) -> Response:
        if request.url.path.endswith("/mine"):
            see(request.scope, "ada")
        return Response(status_code=403 if "forbidden" in request.url.path else 200)

    routes = [Route("/{path:path}", answer, methods=["GET", "POST", "DELETE", "PUT"])]
    app = Starlette(routes=[Mount("/inner", routes=routes), *routes])
    client = TestClient(Audited(app, trail=trail, space=["/vault"]), client=("192.0.2.7", 1))
    client.get("/inner/mine")
    client.post("/agent/v1/claim")
    client.put("/vault/x")
    client.post("/inner/mine")
    client.delete("/forbidden")
    client.post("/join/this-is-a-key")
    found = [(e.who, e.act, e.target, e.origin, e.status, e.refused) for e in trail.entries(Asked(), limit=9)]
    assert found == [
        ("", "POST", "/join/…", "192.0.2.7", 200, False),
        ("", "DELETE", "/forbidden", "192.0.2.7", 403, True),
        ("ada", "POST", "/inner/mine", "192.0.2.7", 200, False),
    ]


def test_entries_are_searched_and_paged(a_trail: Make, clock: VirtualClock) -> None:
    trail = a_trail()
    add(trail, *(f"/admin/people/p{n}/disable" for n in range(5)))
    add(trail, "/groups/100%", who="eve", status=403)
    clock.advance(timedelta(days=1))
    add(trail, "/late")
    assert [e.target for e in trail.entries(Asked(words="P3/DIS"), limit=9)] == ["/admin/people/p3/disable"]
    assert [e.target for e in trail.entries(Asked(words="100%"), limit=9)] == ["/groups/100%"]
    assert [e.who for e in trail.entries(Asked(refused=True), limit=9)] == ["eve"]
    assert [e.target for e in trail.entries(Asked(since=clock.now()), limit=9)] == ["/late"]
    assert len(trail.entries(Asked(who="ada", until=clock.now()), limit=9)) == 5
    first = trail.entries(Asked(), limit=3)
    assert [e.id for e in (*first, *trail.entries(Asked(), before=first[-1].id, limit=9))] == [
        7,
        6,
        5,
        4,
        3,
        2,
        1,
    ]
    assert len(list(trail.all(Asked(), page=2))) == 7


def test_the_trail_is_bounded_by_age_and_number(a_trail: Make, clock: VirtualClock) -> None:
    add(a_trail(), "/old", "/older")
    clock.advance(timedelta(days=366))
    trail = a_trail()
    add(trail, "/new")
    assert [e.target for e in trail.entries(Asked(), limit=9)] == ["/new"]
    add(trail, *(f"/{n}" for n in range(9)))
    small = a_trail(most=3)
    add(small, "/last")
    assert [e.target for e in small.entries(Asked(), limit=9)] == ["/last", "/8", "/7"]


def test_what_is_written_cannot_break_a_line(a_trail: Make) -> None:
    trail = a_trail()
    add(trail, "/a\r\nb" + "x" * 1000)
    (entry,) = trail.entries(Asked(), limit=9)
    assert entry.target.startswith("/a??bx")
    assert len(entry.target) == 500
