"""Whatever schemathesis makes of the published documents, no service breaks or answers what it did not announce."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from policy_world import OWN, World
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

pytestmark = pytest.mark.interop

SERVICES = ["identity", "image", "compute", "network", "volume"]
EXAMPLES = int(os.environ.get("ARMILLARY_EXAMPLES", "3"))
"""requests of each operation; the whole takes hundreds (see docs/how-to/judge-the-cloud.md)"""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
VERSIONS = {
    "compute": ["compute 2.1", "compute 2.93", "compute 2.35", "compute 2.60"],
    "volume": ["volume 3.70", "volume 3.0"],
}


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    with asgi.get_client(world.app) as session:
        session.headers["X-Auth-Token"] = world.secrets["admin"]
        yield session


def with_real_ids(case: Any, service: str, ids: dict[str, str]) -> None:
    """Put what exists in the place of what was made up: else nothing gets past the look-up."""
    for name in case.path_parameters:
        for key in (f"{service}:{name}", name):
            if key in ids:
                case.path_parameters[name] = ids[key]
                break


def trying(operation: Any, service: str, world: World, client: Any) -> Callable[[], None]:
    ids = {**world.things[OWN], **world.persons["victim"]}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        report_multiple_bugs=False,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(),
        real=st.integers(0, 3),
        version=st.sampled_from(VERSIONS.get(service, [""])),
    )
    def one(case: Any, real: int, version: str) -> None:
        if real:
            with_real_ids(case, service, ids)
        case.headers["OpenStack-API-Version"] = version
        case.call_and_validate(session=client, checks=CHECKS)

    return one


@pytest.mark.parametrize("service", SERVICES)
def test_no_example_breaks_a_service(world, client, common_stage, service):
    document = common_stage.http.get(f"/{service}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.app = world.app
    amiss: list[str] = []
    tried = 0
    for result in schema.get_all_operations():
        tried += 1
        operation = result.ok()
        common_stage.clock.advance(timedelta(minutes=1))  # so that no request is refused for their number
        try:
            trying(operation, service, world, client)()
        except FailureGroup as group:
            amiss += [
                f"{failure.operation}: {failure.title}, {failure.message}" for failure in group.exceptions
            ]
    assert tried == sum(len(methods) for methods in document["paths"].values())
    assert not amiss, "\n".join(amiss)
