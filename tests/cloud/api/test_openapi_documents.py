"""Each service describes itself: all of its rows, to anyone, with everything that it may answer."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from starlette.testclient import TestClient

SERVICES = ["identity", "image", "compute", "network", "volume"]


@pytest.fixture(scope="module")
def documents(common_stage: Any) -> dict[str, Any]:
    http: TestClient = common_stage.http
    return {service: http.get(f"/{service}/openapi.json").json() for service in SERVICES}


def operations(document: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


@pytest.mark.parametrize("service", SERVICES)
def test_every_row_has_its_operation_and_says_who_may(documents, service):
    rows = import_module(f"armillary.cloud.api.policy.{service}").ROWS
    found = operations(documents[service])
    described = [row for row in rows if row.method != "*" and row.path != "/openapi.json"]
    for row in described:
        operation = found[row.method, f"/{service}{row.path}".rstrip("/")]
        assert bool(operation["security"]) == (row.least.value != "anyone")
        assert row.rule in operation["description"]
    assert len(found) == len({(row.method, row.path) for row in described})


@pytest.mark.parametrize("service", SERVICES)
def test_operations_have_names_of_their_own_and_only_what_the_service_answers(documents, service):
    found = operations(documents[service]).values()
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    statuses = {int(status) for operation in found for status in operation["responses"]}
    assert 422 not in statuses  # FastAPI's own refusal, which no service speaks
    assert max(statuses) < 500


def test_an_action_in_a_body_is_one_of_those_that_the_policy_knows(documents):
    path = "/compute/v2.1/servers/{server_id}/action"
    body = operations(documents["compute"])["POST", path]["requestBody"]
    choices = body["content"]["application/json"]["schema"]["oneOf"]
    assert {"lock", "reboot", "os-getConsoleOutput"} <= {choice["title"] for choice in choices}
    assert all(choice["required"] == [choice["title"]] for choice in choices)


def test_images_are_refused_in_pages_and_downloaded_in_bytes(documents):
    download = operations(documents["image"])["GET", "/image/v2/images/{image_id}/file"]["responses"]
    assert list(download["200"]["content"]) == ["application/octet-stream"]
    assert list(download["404"]["content"]) == ["text/html"]
