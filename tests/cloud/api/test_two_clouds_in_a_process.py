"""Two clouds of one process share what FastAPI makes of their routes, and nothing else: each knows its own people."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("path", ["/compute/v2.1/servers", "/network/v2.0/networks", "/volume/v3/-/volumes"])
def test_each_cloud_lets_in_its_own_people_alone(ada: Any, common_member_of: Any, path: str) -> None:
    eve = common_member_of("m31", f"eve-{path.partition('/v')[0].strip('/')}")
    for who, other in ((ada, eve), (eve, ada), (ada, eve)):
        mine = who.stage.http.get(path, headers={"X-Auth-Token": who.token})
        assert mine.status_code == 200, mine.text
        assert other.stage.http.get(path, headers={"X-Auth-Token": who.token}).status_code == 401


def test_each_cloud_shows_its_own_machines(ada: Any, common_member_of: Any) -> None:
    eve = common_member_of("m31", "eve")
    ada.up("of-ada")
    eve.up("of-eve")
    for who, name in ((ada, "of-ada"), (eve, "of-eve")):
        found = who.ok("GET", "/compute/v2.1/servers")["servers"]
        assert [server["name"] for server in found] == [name]


def test_each_cloud_asks_its_own_gate(ada: Any, common_member_of: Any) -> None:
    """Whoever may do a thing on one cloud may not do it on the other by that."""
    eve = common_member_of("m31", "eve-who-decides")
    accounts = eve.stage.accounts
    accounts.update_person(eve.person.id, is_admin=True)
    assert eve.call("GET", "/compute/v2.1/os-hypervisors").status_code == 200
    assert ada.call("GET", "/compute/v2.1/os-hypervisors").status_code == 403
