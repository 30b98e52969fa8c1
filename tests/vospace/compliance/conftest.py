"""A space that may fetch from a server on this machine, and that server."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from elsewhere import Elsewhere
from space_talk import Talk
from starlette.testclient import TestClient

from armillary.vospace.build import build_jobs
from armillary.vospace.courier import HttpCourier
from armillary.vospace.service import JobService, VOSpaceService
from armillary.vospace.store import SqlJobRecords


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def jobs(space: VOSpaceService, job_records: SqlJobRecords) -> Iterator[JobService]:
    jobs = build_jobs(records=job_records, space=space, courier=HttpCourier(allowed=["127.0.0.1"]))
    yield jobs
    jobs.close()


@pytest.fixture
def ada(http: TestClient) -> Talk:
    return Talk(http)
