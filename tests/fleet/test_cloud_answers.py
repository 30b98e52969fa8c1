"""What a cloud says in HTTP becomes one of our refusals, with how long it wants to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from openstack.exceptions import HttpException
from requests import Response

from armillary.base.errors import ArmillaryError, Conflict, QuotaExceeded, Unavailable
from armillary.base.ids import CloudName
from armillary.fleet.sdk.errors import refusals
from armillary.fleet.sdk.images import SdkImages
from armillary.fleet.sdk.servers import gpus_of

EAST = CloudName("east")


def answer(status: int, message: str = "", **headers: str) -> ArmillaryError:
    response = Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    with pytest.raises(ArmillaryError) as refused, refusals(EAST):
        raise HttpException(message=message, response=response)
    return refused.value


def test_a_cloud_that_was_asked_too_often_says_when_to_come_back() -> None:
    refused = answer(429, "Too Many Requests", Retry_After="17")
    assert (type(refused), refused.code, refused.facts["retry_after"]) == (Unavailable, "cloud_busy", 17)


def test_nova_says_over_limit_with_413_and_seconds() -> None:
    assert answer(413, "quota of requests", Retry_After="3").code == "cloud_busy"


def test_cinder_says_a_full_quota_with_413_and_no_time_to_wait() -> None:
    full = answer(413, "Requested volume or snapshot exceeds allowed gigabytes quota.", Retry_After="0")
    assert (type(full), full.code) == (QuotaExceeded, "quota_exceeded")


def test_a_moment_to_come_back_is_read_too() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < answer(503, Retry_After=when).facts["retry_after"] <= 60


def test_a_cloud_that_wants_to_be_left_alone_for_days_is_asked_in_an_hour() -> None:
    assert answer(429, Retry_After="1000000").facts["retry_after"] == 3600


def test_nonsense_in_retry_after_is_passed_over() -> None:
    assert "retry_after" not in answer(503, Retry_After="soon").facts


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        (403, "Quota exceeded for cores", QuotaExceeded, "quota_exceeded"),
        (409, "in task_state spawning", Conflict, "conflict"),
        (500, "Unexpected API Error", Unavailable, "cloud_failed"),
    ],
)
def test_other_answers_keep_their_kind(
    status: int, message: str, kind: type[ArmillaryError], code: str
) -> None:
    refused = answer(status, message)
    assert (type(refused), refused.code) == (kind, code)


class Glance:
    """Answers each request with the same."""

    def __init__(self, status: int, said: str) -> None:
        self.image = self
        self._status, self._said = status, said

    def get(self, *_: object) -> Glance:
        return self

    def post(self, path: str, *, json: object) -> Response:
        response = Response()
        response.status_code, response.url = self._status, f"http://glance/v2{path}"
        response.headers["content-type"] = "text/plain"
        response._content = self._said.encode()
        return response


@pytest.mark.parametrize(
    ("status", "said", "kind", "code"),
    [
        (403, "Quota exceeded for images", QuotaExceeded, "quota_exceeded"),
        (409, "Image ID is there", Conflict, "conflict"),
        (503, "busy", Unavailable, "cloud_failed"),
    ],
)
def test_why_an_image_was_not_taken_keeps_its_kind(
    status: int, said: str, kind: type[ArmillaryError], code: str
) -> None:
    cloud: Any = SimpleNamespace(name=EAST, per_project=True, image_visibility="private")
    like: Any = SimpleNamespace(name="mine", disk_format="raw", min_disk=1, properties={}, size=0)
    images = SdkImages(cloud=cloud, connections=cast("Any", Glance(status, said)))
    with pytest.raises(ArmillaryError) as refused:
        images.upload(cast("Any", None), like, iter(()))
    assert (type(refused.value), refused.value.code) == (kind, code)


def test_gpus_of_a_flavor_are_virtual_ones_and_pci_devices_that_are_called_so() -> None:
    assert gpus_of({}) == 0
    assert gpus_of({"resources:VGPU": "1"}) == 1
    assert gpus_of({"pci_passthrough:alias": "a100:2, fastnic:1"}) == 2
    assert gpus_of({"pci_passthrough:alias": "my-gpu"}) == 1
