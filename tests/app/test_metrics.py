"""Figures for Prometheus: its own parser reads them, and nobody but the operator gets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from platform_at_home import PlatformAtHome, Talk, boot_a_server, submit_a_job
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from armillary.app.metrics.counted import Counted, metrics_app
from armillary.app.metrics.meters import Meters
from armillary.base.ids import CloudName, ProjectId, Sha512
from armillary.batch.core.scaling import Decision
from armillary.batch.model import Group, Refusal
from ports import free_port

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str | bytes) -> Samples:
    """Read an exposition as Prometheus does."""
    text = text.decode() if isinstance(text, bytes) else text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


class Rounds:
    """A scaler whose rounds are known before."""

    def __init__(self, *rounds: list[Decision]) -> None:
        self._rounds = list(rounds)

    def tick(self) -> list[Decision]:
        return self._rounds.pop(0)


def refused(*refusals: Refusal) -> Decision:
    return Decision(group=Group(ProjectId("p"), Sha512("i"), "f"), refusals=refusals)


def test_claims_and_finishes_are_counted() -> None:
    meters = Meters()
    meters.claimed(0.004, 3)
    meters.claimed(0.2, 0)
    meters.finished(0.01, "completed", None)
    meters.finished(0.01, "held", "memory_exceeded")
    meters.finished(0.01, "held", "made up by an agent")
    found = samples(meters.render())
    assert value(found, "armillary_jobs_claimed_total") == 3
    assert value(found, "armillary_claim_seconds_count") == 2
    assert value(found, "armillary_claim_seconds_bucket", le="0.005") == 1
    assert value(found, "armillary_attempts_finished_total", state="held") == 2
    assert value(found, "armillary_holds_total", code="memory_exceeded") == 1
    assert value(found, "armillary_holds_total", code="other") == 1


def test_what_the_scaler_refused_in_its_last_round_is_told() -> None:
    full = Refusal(cloud=CloudName("east"), code="cloud_full", message="")
    quota = Refusal(code="batch_cores_used", message="")
    meters = Meters()
    scaler = Rounds([refused(full, quota), refused(full, full)], [refused(quota)])
    meters.scaled(scaler)
    found = samples(meters.render())
    assert value(found, "armillary_scaler_refusals", cloud="east", code="cloud_full") == 2
    assert value(found, "armillary_scaler_refusals", cloud="", code="batch_cores_used") == 1
    meters.scaled(scaler)
    found = samples(meters.render())
    assert value(found, "armillary_scaler_refusals", cloud="east", code="cloud_full") is None
    assert value(found, "armillary_scaler_round_seconds_count") == 2


def test_codes_of_refusals_are_bounded() -> None:
    meters = Meters()
    meters.scaled(Rounds([refused(*(Refusal(code=f"code {n}", message="") for n in range(5000)))]))
    told = [name for name, _ in samples(meters.render()) if name == "armillary_scaler_refusals"]
    assert 200 <= len(told) <= 201


def test_a_loop_that_fails_is_counted_and_fails_on() -> None:
    meters = Meters()

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        meters.watched("leases", fails)()
    assert meters.watched("scaler", lambda: 7)() == 7
    found = samples(meters.render())
    assert value(found, "armillary_loop_failures_total", loop="leases") == 1
    assert (value(found, "armillary_loop_success_timestamp_seconds", loop="scaler") or 0) > 0


def test_addresses_that_people_make_up_make_no_series() -> None:
    meters = Meters()

    def fails(_request: object) -> PlainTextResponse:
        raise ValueError("broken")

    app = Starlette(
        routes=[
            Route("/vault/nodes/{path:path}", lambda _: PlainTextResponse("node")),
            Route("/api/v1/batch/broken", fails),
        ]
    )
    client = TestClient(Counted(app, meters=meters, space=["/vault/"]), raise_server_exceptions=False)
    for number in range(50):
        client.get(f"/made/up/{number}")
        client.get(f"/vault/nodes/{number}")
    client.get("/api/v1/batch/broken")
    found = samples(meters.render())
    assert value(found, "armillary_http_requests_total", route="other", status="404") == 50
    assert value(found, "armillary_http_requests_total", route="vospace", status="200") == 50
    assert value(found, "armillary_http_requests_total", route="batch", status="500") == 1
    routes = {dict(labels)["route"] for name, labels in found if name == "armillary_http_requests_total"}
    assert routes == {"other", "vospace", "batch"}


def test_two_platforms_in_one_process_do_not_share_figures() -> None:
    first, second = Meters(), Meters()
    first.claimed(0.1, 1)
    assert value(samples(second.render()), "armillary_jobs_claimed_total") == 0
    answer = TestClient(metrics_app(first)).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert value(samples(answer.text), "armillary_jobs_claimed_total") == 1


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformAtHome]:
    made = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    yield made
    made.kill()


def test_a_running_platform_tells_the_operator_and_administrators(platform: PlatformAtHome) -> None:
    port = free_port()
    platform.add_settings(f"metrics_port = {port}\n")
    running = platform.up()
    talk = Talk(running=running, user_name="admin", password=running["admin_password"])
    boot_a_server(talk)
    submit_a_job(talk)
    base = f"http://127.0.0.1:{port}"
    found = samples(httpx2.get(f"{base}/metrics", timeout=60).text)
    assert value(found, "armillary_jobs", state="held") == 1
    assert (value(found, "armillary_database_bytes") or 0) > 10_000
    assert value(found, "armillary_http_requests_total", route="batch", status="201")
    assert any(name == "armillary_loop_success_timestamp_seconds" for name, _ in found)
    assert httpx2.get(f"{base}/api/v1/batch/jobs", timeout=60).status_code == 404, "nothing else is there"
    plain = json.loads((platform.home / "run.json").read_text())["portal_url"]
    assert httpx2.get(f"{plain}/metrics", timeout=60).status_code == 401
