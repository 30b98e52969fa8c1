"""Servers of others that the tests start as child processes, once for all tests of a process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest

from armillary.base.ids import new_hex
from armillary.vospace.bytes import Bucket

_AS_LONG_AS_WE_LIVE = '"$@" & read -r _; kill -s "$SIGNAL" $!; wait $!; rm -rf "$LEFT"'
"""Runs a server until its standard input ends, which it does however we end, `kill -9` included."""


@contextmanager
def served(
    command: Sequence[str], *, ends_by: str = "TERM", become: Sequence[str] = (), left: Path | None = None
) -> Generator[Callable[[str], re.Match[str]]]:
    """Run a server for the time of a block; what is `left` of it then is removed.

    Yields what waits until the server has said something, and returns it.
    """
    listeners: list[threading.Thread] = []

    def said(wanted: str) -> re.Match[str]:
        assert server.stdout is not None
        lines: list[str] = []
        for line in server.stdout:
            lines.append(line)
            found = re.search(wanted, line)
            if found:
                # Nobody wants to know the rest, and it goes on.
                listeners.append(threading.Thread(target=deque, args=[server.stdout, 0]))
                listeners[-1].start()
                return found
        pytest.fail("the server ended: " + "".join(lines))

    environ = [f"SIGNAL={ends_by}", f"LEFT={left or ''}", "PYTHONUNBUFFERED=1"]
    with subprocess.Popen(
        [*become, "env", *environ, "sh", "-c", _AS_LONG_AS_WE_LIVE, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=left,
    ) as server:
        assert server.stdin is not None
        try:
            yield said
        finally:
            server.stdin.close()
            server.wait()
            for listener in listeners:
                listener.join()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server: moto's, which keeps objects in memory."""
    with served([sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]) as said:
        yield said(r"Running on (http://\S+)").group(1)


@pytest.fixture
def a_bucket(s3_server: str) -> Callable[[], Bucket]:
    """Makes empty buckets."""

    def make() -> Bucket:
        name = f"space-{new_hex()}"
        httpx2.put(f"{s3_server}/{name}", trust_env=False, timeout=60).raise_for_status()
        return Bucket(
            name=name,
            prefix="vospace/of us",
            endpoint=s3_server,
            region="us-east-1",
            access_key="armillary",
            secret_key="not-much-of-a-secret",
        )

    return make


_IN_ENGLISH = ("--locale=C", "--locale-provider=icu", "--icu-locale=en-US")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Path]:
    """The folder with the socket of a PostgreSQL server whose databases sort as people do in English, not as bytes."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.fail("PostgreSQL is not installed: sudo apt-get install postgresql")
    # It takes no orders from root, and somebody else may not look into our own temporary folders.
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="armillary-postgresql-"))
    if become:
        shutil.chown(folder, "postgres", "postgres")

    data = ["-D", f"{folder}/data"]
    made = subprocess.run(
        [*become, str(found[-1] / "initdb"), *data, "-U", "armillary", "-E", "UTF8", "-N", *_IN_ENGLISH],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    options = [
        "-k",
        str(folder),
        "-c",
        "listen_addresses=",
        "-c",
        "max_connections=300",
        "-c",
        "shared_buffers=16MB",
    ]
    options += ["-F", "-c", "lc_messages=C"]
    server = [str(found[-1] / "postgres"), *data, *options]
    with served(server, ends_by="QUIT", become=become, left=folder) as said:
        said("ready to accept connections")
        yield folder


@pytest.fixture
def a_database(postgresql: Path) -> Iterator[Callable[[], str]]:
    """Makes empty databases of PostgreSQL and returns their URLs."""
    names: list[str] = []

    def order(statement: str) -> None:
        with psycopg.connect(
            host=str(postgresql), user="armillary", dbname="postgres", autocommit=True
        ) as db:
            db.execute(statement.encode())

    def make() -> str:
        names.append(f"records_{new_hex()}")
        order(f"CREATE DATABASE {names[-1]}")
        return f"postgresql://armillary@/{names[-1]}?host={postgresql}"

    yield make
    for name in names:
        order(f"DROP DATABASE {name} WITH (FORCE)")


ON_BOTH = pytest.mark.parametrize(
    "records_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.engines)], indirect=True
)
"""Mark of the tests, or files of them, that are run on either kind of database."""


@pytest.fixture
def records_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: SQLite's, unless the test is marked otherwise."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    return str(request.getfixturevalue("a_database")())
