"""Every endpoint has its row in the policy, and every row its endpoint."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI

from armillary.cloud.api.compute import actions
from armillary.cloud.api.policy.gate import templates
from armillary.cloud.api.policy.rows import Row

SERVICES = ["identity", "image", "compute", "network", "volume"]
ACTIONS = {
    "compute": {"/v2.1/servers/{server_id}/action": set(actions.NAMES)},
}


def the_rows(service: str) -> tuple[Row, ...]:
    return import_module(f"armillary.cloud.api.policy.{service}").ROWS


def the_app(cloud: Any, service: str) -> FastAPI:
    """The application within the cloud's, below the layers that number, bound and negotiate."""
    room = cloud.app._room(f"/{service}")
    while not isinstance(room, FastAPI):
        room = room._app
    return room


def endpoints(app: FastAPI, service: str) -> set[tuple[str, str]]:
    return {
        (method, path)
        for _, path, methods in templates(app.routes, prefix=f"/{service}")
        for method in methods
    }


@pytest.mark.parametrize("service", SERVICES)
def test_every_endpoint_has_a_row_and_every_row_an_endpoint(stage, service):
    here = endpoints(the_app(stage.cloud, service), service)
    rows = {(row.method, row.path) for row in the_rows(service)}
    module = f"src/armillary/cloud/api/policy/{service}.py"
    advice = [
        f'add to ROWS of {module}: Row("{method}", "{path}", "<the rule\'s name in OpenStack>", '
        f'{"READER" if method == "GET" else "MEMBER"}, "<what it does>", foreign=404),'
        for method, path in sorted(here - rows)
        if ("*", path) not in rows
    ]
    advice += [
        f"take out of ROWS of {module}, there is no such route: {method} {path}"
        for method, path in sorted(rows - here)
        if method != "*" or path not in {path for _, path in here}
    ]
    assert not advice, "\n" + "\n".join(advice)


@pytest.mark.parametrize("service", ACTIONS)
def test_every_action_has_a_row_and_every_row_an_action(service):
    for path, here in ACTIONS[service].items():
        rows = {row.action for row in the_rows(service) if row.path == path}
        missing, surplus = sorted(here - rows), sorted(rows - here)
        assert not missing, f"add to ROWS of src/armillary/cloud/api/policy/{service}.py: " + "; ".join(
            f'_act("{name}", "<rule>", "<what it does>"),' for name in missing
        )
        assert not surplus, f"rows of {service} without an action: {surplus}"


@pytest.mark.parametrize("service", SERVICES)
def test_no_endpoint_has_two_rows(service):
    said = Counter((row.method, row.path, row.action) for row in the_rows(service))
    assert [key for key, times in said.items() if times > 1] == []


def test_an_endpoint_without_a_row_is_closed_to_everybody(stage, root):
    @the_app(stage.cloud, "compute").get("/compute/v2.1/forgotten")
    def forgotten() -> dict[str, str]:
        return {"secret": "seen"}

    answer = root.call("GET", "/compute/v2.1/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text
