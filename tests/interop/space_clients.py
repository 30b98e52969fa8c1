"""A platform's VOSpace behind TLS, and terminals in which stock clients are run against it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from warm_client import WarmClient, run_executable

from armillary.accounts.certificates import Authority
from armillary.accounts.model import Allocation, Principal, Role, TokenKind
from armillary.app.addresses import Addresses
from armillary.app.settings import Settings
from armillary.app.tls import server_config
from armillary.app.wiring import Platform, build_platform
from armillary.base.clock import SystemClock
from armillary.base.units import GiB, MiB
from armillary.vospace.model import Node

PASSWORD = "correct horse battery"


class Space:
    """A platform without clouds; ada and bob are in project m51, carl is in none and so has no room for bytes."""

    def __init__(
        self, *, platform: Platform, authority: Authority, host: str, plain_host: str, folder: Path
    ) -> None:
        self.accounts = platform.accounts
        self.service = platform.vospace
        self.authority = authority
        self.host = host
        self.plain_host = plain_host
        self.requests: list[str] = []
        self._ranges: list[str] = []
        self._folder = folder
        figures = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(2), batch_cores=0)
        project = self.accounts.create_project("m51", "", figures)
        self.accounts.create_project("ngc253", "", figures)  # without members
        for name in ("ada", "bob", "carl"):
            person = self.accounts.create_person(user_name=name, password=PASSWORD)
            self.service.ensure_home(person)
            if name != "carl":
                self.accounts.set_role(project.id, person.id, Role.MEMBER)

    def hear(self, scope: Scope) -> None:
        """Remember a request."""
        self.requests.append(f"{scope['method']} {scope['path']}")
        self._ranges += [value.decode() for name, value in scope["headers"] if name == b"range"]

    def ranges(self) -> list[str]:
        """The ranges that were asked for so far."""
        return list(self._ranges)

    def stored(self) -> set[Path]:
        """The files that hold bytes."""
        return {path for path in self._folder.rglob("*") if path.is_file()}

    def who(self, name: str = "ada") -> Principal:
        """The principal of a person."""
        return self.accounts.principal(self.accounts.person_named(name).id)

    def put(self, path: str, data: bytes, who: str = "ada") -> Node:
        """Write a file; missing containers are made."""
        self.mkdir(path.rpartition("/")[0], who)
        return self.service.put_bytes(self.who(who), path, [data])

    def mkdir(self, path: str, who: str = "ada") -> None:
        """Make a container, with those above it."""
        if not self.exists(path):
            self.service.make_container(self.who(who), path, parents=True)

    def read(self, path: str) -> bytes:
        """The bytes of a file of ada's."""
        return b"".join(self.service.open_bytes(self.who(), path).chunks)

    def node(self, path: str) -> Node:
        """A node that ada may see."""
        return self.service.node(self.who(), path)

    def names(self, path: str) -> list[str]:
        """What is in a container of ada's."""
        return sorted(node.name for node in self.service.children(self.who(), path))

    def exists(self, path: str) -> bool:
        """Whether a node is there."""
        above, _, name = path.strip("/").rpartition("/")
        return not name or ((not above or self.exists(above)) and name in self.names("/" + above))

    def token(self, *scopes: str, who: str = "ada") -> str:
        """A token of a person for an hour."""
        person = self.accounts.person_named(who).id
        return self.accounts.issue_token(
            person, kind=TokenKind.API, lifetime=timedelta(hours=1), scopes=frozenset(scopes)
        ).secret

    def certificate(self, who: str = "ada") -> bytes:
        """The certificate that `cadc-get-cert` would bring."""
        return self.authority.issue_client(who, timedelta(days=1))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def live_space(root: Path) -> Generator[Space]:
    """A platform in this process, listening as it does at home: with TLS, and without for this computer."""
    previous = os.environ.get("ARMILLARY_HOME")
    os.environ["ARMILLARY_HOME"] = str(root / "platform")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    port, plain_port = (each.getsockname()[1] for each in sockets)
    try:
        clock = SystemClock()
        platform = build_platform(
            settings=Settings(clouds=[]),
            clock=clock,
            addresses=Addresses(https_port=port, http_port=plain_port, cloud_ports={}),
        )
    finally:
        if previous is None:
            del os.environ["ARMILLARY_HOME"]
        else:
            os.environ["ARMILLARY_HOME"] = previous
    space = Space(
        platform=platform,
        authority=Authority(root / "platform" / "authority", clock),
        host=f"localhost:{port}",
        plain_host=f"localhost:{plain_port}",
        folder=root / "platform" / "vospace",
    )
    certificate, key = platform.server_certificate

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            space.hear(scope)
        await platform.app(scope, receive, send)

    servers = [
        _Server(server_config(counted, "127.0.0.1", port, certificate, key, platform.ca_file)),
        _Server(server_config(counted, "127.0.0.1", plain_port)),
    ]

    async def serve_both() -> None:
        await asyncio.gather(
            *(server.serve(sockets=[each]) for server, each in zip(servers, sockets, strict=True))
        )

    def serve() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_both())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert all(server.ready.wait(20) for server in servers)
        yield space
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(20)
        platform.close()


class Terminal:
    """Where somebody types commands: a home directory of their own, and the platform's address."""

    def __init__(self, *, home: Path, space: Space, client: WarmClient) -> None:
        self.home = home
        self.space = space
        self._client = client
        self._forgotten: set[str] = set()
        (home / ".ssl").mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this user sees."""
        known = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "VOSPACE_WEBSERVICE": self.space.host,
        }
        return {name: value for name, value in known.items() if name not in self._forgotten}

    def forget(self, *names: str) -> None:
        """Unset variables."""
        self._forgotten.update(names)

    def __call__(
        self,
        *words: str,
        ok: bool | None = True,
        env: Mapping[str, str] | None = None,
        warm: bool = True,
        verified: bool = False,
        typed: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a stock client; it must succeed, or fail when `ok` is False. None: it may do either.

        `warm` shares its imports with other commands. What is `typed` comes from standard input. Only with
        `verified` does the client look at our certificate.
        """
        environment = {**self.environment, **(env or {})}
        command = words if verified else (words[0], "-k", *words[1:])
        if warm and not typed:
            done = self._client.run(*command, cwd=self.home, env=environment)
        else:
            done = run_executable(*command, cwd=self.home, env=environment, typed=typed)
        if ok is not None:
            assert (done.returncode == 0) is ok, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def out(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """What a command prints."""
        return self(*words, env=env).stdout

    def refused(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """What a command that fails says."""
        done = self(*words, env=env, ok=False)
        return done.stdout + done.stderr

    def file(self, name: str, data: bytes) -> Path:
        """Write a local file."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def sign_in(self, who: str = "ada") -> None:
        """Have the certificate of somebody."""
        path = self.home / ".ssl" / "cadcproxy.pem"
        path.write_bytes(self.space.certificate(who))
        path.chmod(0o600)

    def netrc(self, password: str = PASSWORD, login: str = "ada") -> None:
        """Have a password for the platform."""
        path = self.home / ".netrc"
        path.write_text(f'machine {self.space.host} login {login} password "{password}"\n')
        path.chmod(0o600)
