"""A bucket under load and under a bad network: memory stays flat, and a request that fails is made again."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from armillary.base.errors import Unavailable
from armillary.base.ids import new_hex
from armillary.vospace.bytes import Bucket, S3Bytes

pytestmark = pytest.mark.engines

_UP_AND_DOWN = """
    import json, resource, sys
    from armillary.base.ids import new_hex
    from armillary.vospace.bytes import Bucket, S3Bytes

    store = S3Bytes(Bucket(**json.loads(sys.argv[1])))

    def peak_mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def there_and_back(mebibytes):
        key, block = new_hex(), bytes(range(256)) * 4096
        writer = store.begin(key)
        for _ in range(mebibytes):
            writer.write(block)
        writer.publish()
        assert store.size(key) == mebibytes << 20
        assert sum(map(len, store.read(key, 0, mebibytes << 20))) == mebibytes << 20
        start = (mebibytes - 1 << 20) - 5
        assert b"".join(store.read(key, start, start + 10)) == block[-5:] + block[:5]
        store.delete(key)

    there_and_back(24)
    before = peak_mib()
    there_and_back(128)
    print(peak_mib() - before)
"""


def test_a_large_file_takes_no_more_memory_than_a_small_one(a_bucket: Callable[[], Bucket]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_UP_AND_DOWN), json.dumps(asdict(a_bucket()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 24  # of 104 MiB more


@contextmanager
def in_between(server: str, failures: int) -> Iterator[str]:
    """A proxy before the S3 server that answers each request with 503 so many times before it lets it through."""
    asked: dict[tuple[str, str], int] = {}

    class Proxy(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            request = (self.command, self.path)
            asked[request] = asked.get(request, 0) + 1
            if asked[request] <= failures:
                self.send_response(503)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            answer = httpx2.request(
                self.command, server + self.path, content=body, headers=dict(self.headers), trust_env=False
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in {"transfer-encoding", "connection", "content-encoding"}:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content)

        do_GET = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()


def test_what_fails_once_is_tried_again(a_bucket: Callable[[], Bucket], s3_server: str) -> None:
    with in_between(s3_server, failures=1) as endpoint:
        store = S3Bytes(replace(a_bucket(), endpoint=endpoint))
        key = new_hex()
        writer = store.begin(key)
        writer.write(b"a galaxy")
        writer.publish()
        assert b"".join(store.read(key, 2, 8)) == b"galaxy"


def test_what_fails_always_is_refused_and_leaves_nothing(
    a_bucket: Callable[[], Bucket], s3_server: str
) -> None:
    bucket = a_bucket()
    key = new_hex()
    with in_between(s3_server, failures=1000) as endpoint:
        writer = S3Bytes(replace(bucket, endpoint=endpoint)).begin(key)
        writer.write(b"a galaxy")
        with pytest.raises(Unavailable) as refused:
            writer.publish()
        assert refused.value.code == "bytes_unavailable"
    assert S3Bytes(bucket).size(key) is None
