"""Rate limits: what one token and one address may ask in a minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from armillary.base.clock import VirtualClock
from armillary.cloud.api.limits import Buckets

SIGN_IN = {
    "auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": "y"}}}}
}


def test_a_bucket_holds_a_minute_s_worth_and_fills_evenly():
    clock = VirtualClock()
    buckets = Buckets(clock=clock, per_minute=60)
    assert [buckets.wait("token") for _ in range(60)] == [0] * 60
    assert buckets.wait("token") == pytest.approx(1)
    assert buckets.wait("another") == 0
    clock.advance(timedelta(seconds=2))
    assert [buckets.wait("token") for _ in range(3)] == [0, 0, pytest.approx(1)]
    clock.advance(timedelta(hours=1))
    assert sum(buckets.wait("token") == 0 for _ in range(100)) == 60


def test_no_bound_counts_nothing():
    assert [Buckets(clock=VirtualClock(), per_minute=0).wait("token") for _ in range(1000)] == [0] * 1000


def test_many_callers_do_not_fill_the_memory():
    buckets = Buckets(clock=VirtualClock(), per_minute=1)
    for number in range(30_000):
        buckets.wait(f"token {number}")
    assert buckets.wait("token 0") == 0, "forgotten, so its bucket is new"
    assert buckets.wait("token 29999") > 0


@pytest.fixture
def strict(stage):
    """A cloud that lets a token ask twice a minute, and an address sign in once."""
    stage.settings = replace(stage.settings, requests_per_minute=2, sign_ins_per_minute=1)
    stage.restart()
    return stage


@pytest.mark.parametrize(
    ("path", "status", "shape"),
    [
        ("/identity/v3/auth/projects", 429, lambda a: a.json()["error"]["title"] == "Too Many Requests"),
        ("/compute/v2.1/flavors", 429, lambda a: a.json()["overLimit"]["retryAfter"] == "30"),
        ("/image/v2/images", 429, lambda a: "<h1>429 Too Many Requests</h1>" in a.text),
        ("/network/v2.0/networks", 429, lambda a: a.json()["NeutronError"]["type"] == "HTTPTooManyRequests"),
        ("/volume/v3/PROJECT/types", 413, lambda a: a.json()["overLimit"]["code"] == 413),
    ],
)
def test_a_token_that_asks_too_often_is_told_when_to_ask_again(strict, ada, path, status, shape):
    path = path.replace("PROJECT", ada.project.id)
    assert [ada.call("GET", path).status_code for _ in range(2)] == [200, 200]
    answer = ada.call("GET", path)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "30")
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    assert shape(answer)
    strict.clock.advance(timedelta(seconds=30))
    assert ada.call("GET", path).status_code == 200


def test_an_address_that_signs_in_too_often_is_refused_before_a_password_is_looked_at(strict, ada):
    def sign_in():
        return strict.http.post("/identity/v3/auth/tokens", json=SIGN_IN)

    assert sign_in().status_code == 401
    assert (sign_in().status_code, sign_in().headers["retry-after"]) == (429, "60")
    assert ada.call("GET", "/compute/v2.1/flavors").status_code == 200, "a token's bucket is another one"


def test_documents_of_versions_are_not_counted(strict):
    assert {strict.http.get("/compute/v2.1/").status_code for _ in range(10)} == {200}
