"""Servers of others that the tests start as child processes, once for all tests of a process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
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

    def run(program: str, *arguments: str) -> None:
        command = [*become, str(found[-1] / program), "-D", f"{folder}/data", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run(
        "initdb",
        "-U",
        "armillary",
        "-E",
        "UTF8",
        "--locale=C",
        "--locale-provider=icu",
        "--icu-locale=en-US",
        "-N",
    )
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=300 -c shared_buffers=16MB"
    run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
    yield folder
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


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
