"""The stock VOSpace clients, unmodified, as child processes over TLS."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from warm_client import WarmClient, run_executable

from armillary.accounts.api import Authenticator
from armillary.accounts.certificates import Authority
from armillary.accounts.model import TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.app.tls import server_config
from armillary.base.clock import SystemClock
from armillary.base.units import GiB
from armillary.vospace.api import Settings, router
from armillary.vospace.build import build_jobs
from armillary.vospace.bytes import FolderBytes
from armillary.vospace.service import VOSpaceService
from armillary.vospace.store import SqlJobRecords, SqlRecords, create_all

pytestmark = pytest.mark.interop

PASSWORD = "correct horse battery"


class Space:
    """A running VOSpace over TLS, and how to reach it."""

    def __init__(self, root: Path) -> None:
        clock = SystemClock()
        engine = make_engine(f"sqlite:///{root}/armillary.db", durable=False)
        accounts_store = AccountsStore(engine=engine)
        accounts_store.create_all()
        self.accounts = AccountsService(
            store=accounts_store, clock=clock, passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1)
        )
        for name in ("ada", "bob"):
            self.accounts.create_person(
                user_name=name,
                full_name=name,
                email=f"{name}@example.org",
                institute="Observatory",
                password=PASSWORD,
            )
        create_all(engine)
        settings = Settings(authority="armillary.example")
        self.folder = root / "bytes"
        self.service = VOSpaceService(
            records=SqlRecords(engine),
            bytes_=FolderBytes(self.folder),
            clock=clock,
            authorities=settings.authorities,
            groups=self.accounts.groups_of,
            quota=lambda person_id: GiB(1),
        )
        self.ada = self.accounts.person_named("ada")
        self.service.ensure_home(self.ada)
        self.service.ensure_home(self.accounts.person_named("bob"))
        self.jobs = build_jobs(records=SqlJobRecords(engine), space=self.service)
        self.authority = Authority(root / "ca", clock)
        self.app = FastAPI()
        self.app.include_router(
            router(
                service=self.service,
                jobs=self.jobs,
                authority=self.authority,
                authenticator=Authenticator(service=self.accounts, certificates=self.authority),
                settings=settings,
            )
        )
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"localhost:{self.socket.getsockname()[1]}"

    def principal(self) -> Any:
        return self.accounts.principal(self.ada.id)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    space = Space(tmp_path_factory.mktemp("space"))
    certificate, key = space.authority.server_certificate(["localhost", "127.0.0.1"])
    config = server_config(space.app, "127.0.0.1", 0, certificate, key, space.authority.ca_path)
    server = _Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[space.socket]),))
    thread.start()
    assert server.ready.wait(20)
    yield space
    server.should_exit = True
    thread.join(20)
    space.jobs.close()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssl").mkdir()
    return tmp_path


@pytest.fixture
def run(vos_client: WarmClient, space: Space, home: Path) -> Run:
    """Runs a stock client in a fresh home directory; `warm` shares its imports."""

    def run(
        *words: str, ok: bool = True, env: dict[str, str] | None = None, warm: bool = True
    ) -> subprocess.CompletedProcess[str]:
        start = vos_client.run if warm else run_executable
        done = start(
            words[0],
            "-k",
            *words[1:],
            cwd=home,
            env={
                "HOME": str(home),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "LOCAL_VOSPACE_WEBSERVICE": space.host,
                **(env or {}),
            },
        )
        if ok:
            assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        else:
            assert done.returncode != 0, f"{words} should have failed: {done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def certificate(space: Space, home: Path) -> Path:
    """The certificate that `cadc-get-cert` would leave behind."""
    path = home / ".ssl" / "cadcproxy.pem"
    path.write_bytes(space.authority.issue_client("ada", timedelta(days=1)))
    path.chmod(0o600)
    return path


def write_netrc(home: Path, space: Space, password: str) -> Path:
    path = home / ".netrc"
    path.write_text(f'machine {space.host} login ada password "{password}"\n')
    path.chmod(0o600)
    return path


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def bring(home: Path, name: str, data: bytes) -> Path:
    path = home / name
    path.write_bytes(data)
    return path


@pytest.mark.usefixtures("certificate")
def test_a_file_goes_up_is_listed_and_comes_back_the_same(run: Run, home: Path) -> None:
    data = os.urandom(70_001)
    bring(home, "m51.fits", data)
    run("vmkdir", "vos:home/ada/round", warm=False)
    run("vcp", "m51.fits", "vos:home/ada/round/m51.fits", warm=False)
    assert run("vls", "vos:home/ada/round", warm=False).stdout.split() == ["m51.fits"]
    listing = run("vls", "-l", "vos:home/ada/round", warm=False).stdout
    assert "70001" in listing
    assert run("vls", "-l", "vos:home/ada/round").stdout == listing
    run("vcp", "vos:home/ada/round/m51.fits", "back.fits", warm=False)
    assert (home / "back.fits").read_bytes() == data


@pytest.mark.usefixtures("certificate")
def test_a_file_over_five_mebibytes_goes_up_and_down(run: Run, home: Path) -> None:
    data = os.urandom(11 << 20)
    bring(home, "big.fits", data)
    run("vcp", "big.fits", "vos:home/ada/big.fits")
    run("vcp", "vos:home/ada/big.fits", "back.fits")
    assert md5((home / "back.fits").read_bytes()) == md5(data)


@pytest.mark.usefixtures("certificate")
def test_directories_go_up_and_down_with_odd_names(run: Run, home: Path, space: Space) -> None:
    tree = home / "night"
    (tree / "deep").mkdir(parents=True)
    names = ["plain.txt", "été.txt", ".hidden", "a+b.txt"]
    for name in names:
        (tree / name).write_text(name)
    (tree / "deep" / "x.cat").write_text("x")
    (tree / "empty.txt").write_text("")
    run("vcp", "night", "vos:home/ada/")
    (home / "out").mkdir()
    run("vcp", "vos:home/ada/night", "out/")
    found = {
        str(p.relative_to(home / "out")): p.read_text() for p in (home / "out").rglob("*") if p.is_file()
    }
    assert found == {
        **{f"night/{name}": name for name in names},
        "night/deep/x.cat": "x",
        "night/empty.txt": "",
    }


@pytest.mark.usefixtures("certificate")
def test_vcat_shows_a_file(run: Run, space: Space) -> None:
    space.service.put_bytes(space.principal(), "/home/ada/hello.txt", [b"hello, sky\n"])
    assert run("vcat", "vos:home/ada/hello.txt").stdout.rstrip() == "hello, sky"


@pytest.mark.usefixtures("certificate")
def test_vmv_renames_and_moves_into_a_directory(run: Run, space: Space) -> None:
    space.service.put_bytes(space.principal(), "/home/ada/first.txt", [b"1"])
    run("vmkdir", "vos:home/ada/shelf")
    run("vmv", "vos:home/ada/first.txt", "vos:home/ada/second.txt")
    run("vmv", "vos:home/ada/second.txt", "vos:home/ada/shelf")
    assert run("vls", "vos:home/ada/shelf").stdout.split() == ["second.txt"]


@pytest.mark.usefixtures("certificate")
def test_vmv_onto_a_file_fails_and_changes_nothing(run: Run, space: Space) -> None:
    space.service.put_bytes(space.principal(), "/home/ada/left.txt", [b"1"])
    space.service.put_bytes(space.principal(), "/home/ada/right.txt", [b"2"])
    run("vmv", "vos:home/ada/left.txt", "vos:home/ada/right.txt", ok=False)
    assert b"".join(space.service.open_bytes(space.principal(), "/home/ada/right.txt").chunks) == b"2"


@pytest.mark.usefixtures("certificate")
def test_vrm_deletes_files_and_whole_directories(run: Run, space: Space) -> None:
    for name in ("a/x.txt", "a/b/y.txt", "z.txt"):
        space.service.make_container(
            space.principal(), f"/home/ada/rm/{name}".rpartition("/")[0], parents=True
        )
        space.service.put_bytes(space.principal(), f"/home/ada/rm/{name}", [b"1"])
    run("vrm", "vos:home/ada/rm/z.txt")
    run("vrm", "-R", "vos:home/ada/rm/a")
    assert run("vls", "vos:home/ada/rm").stdout.split() == []
    run("vrmdir", "vos:home/ada/rm")
    run("vls", "vos:home/ada/rm", ok=False)


@pytest.mark.usefixtures("certificate")
def test_links_modes_tags_and_locks(run: Run, space: Space, home: Path) -> None:
    space.service.make_container(space.principal(), "/home/ada/meta")
    space.service.put_bytes(space.principal(), "/home/ada/meta/real.txt", [b"real"])
    run("vln", "vos:home/ada/meta/real.txt", "vos:home/ada/meta/link.txt")
    assert run("vcat", "vos:home/ada/meta/link.txt").stdout.rstrip() == "real"
    run("vchmod", "o+r", "vos:home/ada/meta/real.txt")
    assert space.service.node(None, "/home/ada/meta/real.txt").sharing.is_public
    run("vchmod", "-R", "o+r", "vos:home/ada/meta")
    assert space.service.node(None, "/home/ada/meta").sharing.is_public
    run("vchmod", "g+r", "vos:home/ada/meta/real.txt", "m51")
    assert space.service.node(None, "/home/ada/meta/real.txt").sharing.group_read == {"m51"}
    run("vtag", "vos:home/ada/meta/real.txt", "ivo://example.org/tags#seeing=0.7")
    tag = run("vtag", "vos:home/ada/meta/real.txt", "ivo://example.org/tags#seeing")
    assert "0.7" in tag.stdout
    run("vlock", "--lock", "vos:home/ada/meta/real.txt")
    run("vrm", "vos:home/ada/meta/real.txt", ok=False)
    run("vlock", "--unlock", "vos:home/ada/meta/real.txt")
    run("vrm", "vos:home/ada/meta/real.txt")


def test_cadc_get_cert_with_a_password_then_vcp(run: Run, home: Path, space: Space) -> None:
    write_netrc(home, space, PASSWORD)
    run("cadc-get-cert", "-n", "--host", space.host, "--days-valid", "7", warm=False)
    bring(home, "a.txt", b"by certificate")
    (home / ".netrc").unlink()
    run("vcp", "a.txt", "vos:home/ada/by-certificate.txt")
    run("vcp", "a.txt", "vos:home/bob/by-certificate.txt", ok=False)


def test_a_password_in_netrc_is_enough(run: Run, home: Path, space: Space) -> None:
    write_netrc(home, space, PASSWORD)
    bring(home, "a.txt", b"by password")
    run("vcp", "a.txt", "vos:home/ada/by-password.txt")
    run("vcp", "vos:home/ada/by-password.txt", "b.txt")
    assert (home / "b.txt").read_bytes() == b"by password"


def test_a_token_is_enough(run: Run, home: Path, space: Space) -> None:
    issued = space.accounts.issue_token(
        space.ada.id, kind=TokenKind.API, lifetime=timedelta(hours=1), scopes=frozenset({"vospace:read"})
    )
    space.service.put_bytes(space.principal(), "/home/ada/for-token.txt", [b"token"])
    run("vcp", "--token", issued.secret, "vos:home/ada/for-token.txt", "t.txt")
    assert (home / "t.txt").read_bytes() == b"token"
    run("vcp", "--token", issued.secret, "t.txt", "vos:home/ada/not-with-this-token.txt", ok=False)


def test_a_wrong_password_is_refused(run: Run, home: Path, space: Space) -> None:
    write_netrc(home, space, "wrong")
    said = run("cadc-get-cert", "-n", "--host", space.host).stderr  # it fails with exit status 0
    assert "invalid username/password" in said
    assert not (home / ".ssl" / "cadcproxy.pem").exists()
    run("vls", "vos:home/ada", ok=False)


def test_a_strangers_listing_of_a_home_is_refused(run: Run) -> None:
    run("vls", "vos:home/ada", ok=False)


@pytest.mark.usefixtures("certificate")
def test_the_cavern_face_serves_the_same_tree(run: Run, home: Path, space: Space) -> None:
    env = {"LOCAL_VOSPACE_WEBSERVICE": "", "VOSPACE_WEBSERVICE": space.host}
    bring(home, "c.txt", b"cavern")
    run("vcp", "c.txt", "arc:home/ada/c.txt", env=env)
    run("vcp", "arc:home/ada/c.txt", "d.txt", env=env)
    assert (home / "d.txt").read_bytes() == b"cavern"
    assert "c.txt" in run("vls", "vos://armillary.example~vault/home/ada", env=env).stdout


def test_a_jobs_certificate_reaches_its_owners_home_only(run: Run, home: Path, space: Space) -> None:
    scopes = frozenset({"vospace:read", "vospace:write"})
    pem = space.authority.issue_client("ada", timedelta(hours=1), scopes=scopes, job=True)
    (home / ".ssl" / "cadcproxy.pem").write_bytes(pem)
    bring(home, "j.cat", b"catalogue")
    run("vcp", "j.cat", "vos:home/ada/j.cat")
    run("vmkdir", "-p", "vos:home/ada/results/m51")
    run("vcp", "j.cat", "vos:home/ada/results/m51/j.cat")
    run("vls", "vos:home/bob", ok=False)


def test_an_upload_that_breaks_off_leaves_nothing(space: Space) -> None:
    context = ssl.create_default_context(cadata=space.authority.ca_pem.decode())
    secret = space.accounts.issue_token(space.ada.id, kind=TokenKind.API, lifetime=timedelta(hours=1)).secret
    host, _, port = space.host.partition(":")
    before = {path for path in space.folder.rglob("*") if path.is_file()}
    with socket.create_connection((host, int(port))) as plain:
        connection = context.wrap_socket(plain, server_hostname=host)
        connection.sendall(
            b"PUT /vault/files/home/ada/broken.bin HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: 50000000\r\n\r\n" % (space.host.encode(), secret.encode())
        )
        connection.sendall(b"x" * 20_000_000)
        connection.close()
    # A request on another connection that takes the write lock comes after the broken one was seen to end or
    # not at all: either way the name must not exist.
    names = [node.name for node in space.service.children(space.principal(), "/home/ada")]
    assert "broken.bin" not in names
    deadline = threading.Event()
    for _ in range(100):
        if {path for path in space.folder.rglob("*") if path.is_file()} == before:
            break
        deadline.wait(0.1)
    assert {path for path in space.folder.rglob("*") if path.is_file()} == before
