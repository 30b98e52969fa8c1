"""Runs the platform in this process: the HTTP servers and the loops that keep promises."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import uvicorn
import uvloop

from armillary.app import instance
from armillary.app.addresses import Addresses
from armillary.app.listen import bind, port_of
from armillary.app.settings import Settings
from armillary.app.tls import server_config
from armillary.app.wiring import Platform, build_platform
from armillary.base.clock import SystemClock, to_iso
from armillary.base.ids import CloudName

log = logging.getLogger("armillary")


@dataclass(frozen=True, kw_only=True)
class Started:
    """What a starter wants to know: where the platform is, and the first administrator's password, this once."""

    instance: instance.Instance
    admin_password: str | None


class _Server(uvicorn.Server):
    """One of several servers in a loop: signals belong to the process, not to one of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _every(seconds: float, name: str, work: Callable[[], object]) -> None:
    """Do `work` in a thread again and again; a failure is logged and tried again, later each time."""
    failures = 0
    while True:
        try:
            await asyncio.to_thread(work)
            failures = 0
        except Exception:  # a loop that keeps promises must outlive any one failure
            failures += 1
            log.exception("loop %s failed (%d in a row)", name, failures)
        await asyncio.sleep(min(seconds * 2**failures, 60))


def open_sockets(settings: Settings) -> dict[str, socket.socket]:
    """Bind every socket of the platform, or none."""
    with contextlib.ExitStack() as undo:
        sockets: dict[str, socket.socket] = {}
        wanted = [("https", settings.host, settings.https_port), ("http", "127.0.0.1", settings.http_port)]
        wanted += [(f"cloud {c.name}", "127.0.0.1", c.port) for c in settings.clouds]
        for what, host, port in wanted:
            sockets[what] = undo.enter_context(contextlib.closing(bind(host, port, what=what)))
        undo.pop_all()
        return sockets


def addresses_of(sockets: dict[str, socket.socket]) -> Addresses:
    """Where the platform is reached, given its bound sockets."""
    return Addresses(
        https_port=port_of(sockets["https"]),
        http_port=port_of(sockets["http"]),
        cloud_ports={
            CloudName(what.removeprefix("cloud ")): port_of(sock)
            for what, sock in sockets.items()
            if what.startswith("cloud ")
        },
    )


def _servers(platform: Platform, settings: Settings) -> dict[str, _Server]:
    cert, key = platform.server_certificate
    plain: dict[str, Any] = {
        "http": "httptools",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "lifespan": "off",
        "timeout_graceful_shutdown": 5,
    }
    https = server_config(
        platform.app, settings.host, platform.addresses.https_port, cert, key, platform.ca_file
    )
    return {
        "https": _Server(https),
        "http": _Server(uvicorn.Config(platform.app, **plain)),
        **{
            f"cloud {name}": _Server(uvicorn.Config(cloud.app, **plain))
            for name, cloud in platform.clouds.items()
        },
    }


async def _answering(servers: Iterable[_Server], tasks: list[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)


async def serve(settings: Settings, ready: Callable[[Started], None]) -> None:
    """Run until SIGTERM or SIGINT. Calls `ready` once requests are answered."""
    clock = SystemClock()
    sockets = open_sockets(settings)
    platform = await asyncio.to_thread(
        build_platform, settings=settings, clock=clock, addresses=addresses_of(sockets)
    )
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    servers = _servers(platform, settings)
    serving = [asyncio.create_task(server.serve(sockets=[sockets[what]])) for what, server in servers.items()]
    await _answering(servers.values(), serving)
    recovery = asyncio.create_task(asyncio.to_thread(platform.recover))
    loops = [asyncio.create_task(_every(loop.seconds, loop.name, loop.work)) for loop in platform.loops]
    here = platform.addresses
    running = instance.Instance(
        pid=os.getpid(),
        started_at=to_iso(clock.now()),
        url=here.url,
        portal_url=here.portal_url,
        clouds={name: here.auth_url(name) for name in platform.clouds},
        ca_file=str(platform.ca_file),
    )
    instance.announce(settings.home, running)
    ready(Started(instance=running, admin_password=platform.admin_password))
    try:
        waiter = asyncio.create_task(ended.wait())
        done, _ = await asyncio.wait([waiter, *serving, *loops], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiter}:
            task.result()  # a server or a loop must not end by itself: say why
    finally:
        for loop in loops:
            loop.cancel()
        platform.batch.agents.bell.close()  # whoever waits for work or news gets an answer, and is not waited for
        for server in servers.values():
            server.should_exit = True
        await asyncio.gather(recovery, *serving, *loops, return_exceptions=True)
        await asyncio.to_thread(platform.close)


def run(settings: Settings, ready: Callable[[Started], None]) -> None:
    """Run the platform of `settings.home` in this process until it is told to end.

    Raises:
        Conflict: one runs there already, or a port is taken.
    """
    with instance.hold(settings.home), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, ready))
