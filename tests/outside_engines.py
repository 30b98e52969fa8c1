"""Servers of others that the tests start as child processes, once for all tests of a process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx2
import pytest

from armillary.base.ids import new_hex
from armillary.vospace.bytes import Bucket


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server: moto's, which keeps objects in memory."""
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "WERKZEUG_RUN_MAIN": ""},
    ) as server:
        assert server.stderr is not None
        said: list[str] = []
        for line in server.stderr:
            said.append(line)
            found = re.search(r"Running on (http://\S+)", line)
            if found:
                break
        else:
            pytest.fail("the S3 server ended: " + "".join(said))
        # it tells of each request, and would wait for somebody to listen
        with subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL) as listener:
            yield found.group(1)
            server.terminate()
            server.wait()
            listener.wait()


@pytest.fixture
def a_bucket(s3_server: str) -> Callable[[], Bucket]:
    """Makes empty buckets."""

    def make() -> Bucket:
        name = f"space-{new_hex()}"
        httpx2.put(f"{s3_server}/{name}", trust_env=False).raise_for_status()
        return Bucket(
            name=name,
            prefix="vospace/of us",
            endpoint=s3_server,
            region="us-east-1",
            access_key="armillary",
            secret_key="not-much-of-a-secret",
        )

    return make
