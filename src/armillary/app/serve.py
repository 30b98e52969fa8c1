"""Runs the platform in this process: the HTTP servers and the loops that keep promises."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
import uvloop
from starlette.types import ASGIApp

from armillary.app import instance
from armillary.app.addresses import Addresses
from armillary.app.collecting import collect_seldom
from armillary.app.listen import bind, port_of
from armillary.app.protocol import PiecesProtocol
from armillary.app.settings import Settings
from armillary.app.tls import KEEP_ALIVE, LARGEST_MESSAGE, server_config
from armillary.app.wiring import Platform, build_platform
from armillary.base.clock import SystemClock, to_iso
from armillary.base.ids import CloudName

log = logging.getLogger("armillary")

_MOST_DOUBLINGS = 6
"""of a loop's pause; a float has no room for those of a day of failures"""
_LARGEST_OF_NOTEBOOKS = 16 << 20
"""WebSocket messages of what runs in people's machines"""
_LAST_WORDS_SECONDS = 8.0
"""from being told to end until we end, whatever hangs: it is no worse than `kill -9`, which loses nothing"""


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


async def every(seconds: float, name: str, work: Callable[[], object]) -> None:
    """Do `work` in a thread again and again; a failure is logged and tried again, later each time."""
    failures = 0
    while True:
        try:
            await asyncio.to_thread(work)
            failures = 0
        except Exception:  # a loop that keeps promises must outlive any one failure
            failures += 1
            log.exception("loop %s failed (%d in a row)", name, failures)
        await asyncio.sleep(pause(seconds, failures))


def pause(seconds: float, failures: int) -> float:
    """Return how long a loop rests: the longer, the more often in a row it has failed, but a minute at most."""
    return max(seconds, min(seconds * 2 ** min(failures, _MOST_DOUBLINGS), 60))


def open_sockets(settings: Settings) -> dict[str, socket.socket]:
    """Bind every socket of the platform, or none."""
    with contextlib.ExitStack() as undo:
        sockets: dict[str, socket.socket] = {}
        wanted = [("https", settings.host, settings.https_port), ("http", "127.0.0.1", settings.http_port)]
        wanted.append(("inside", "127.0.0.1", settings.inside_port))
        if settings.metrics_port:
            wanted.append(("metrics", "127.0.0.1", settings.metrics_port))
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
        inside_port=port_of(sockets["inside"]),
        cloud_ports={
            CloudName(what.removeprefix("cloud ")): port_of(sock)
            for what, sock in sockets.items()
            if what.startswith("cloud ")
        },
    )


def _front(platform: Platform, settings: Settings) -> dict[str, _Server]:
    cert, key = platform.server_certificate
    https = server_config(
        platform.app, settings.host, platform.addresses.https_port, cert, key, platform.ca_file
    )
    servers = {
        "https": _Server(https),
        "http": _plain(platform.app, PiecesProtocol),
        "inside": _plain(platform.inside_pages, largest_message=_LARGEST_OF_NOTEBOOKS),
    }
    if settings.metrics_port:
        servers["metrics"] = _plain(platform.metrics)
    return servers


def _plain(
    app: ASGIApp,
    protocol: type[asyncio.Protocol] | str = "httptools",
    largest_message: int = LARGEST_MESSAGE,
) -> _Server:
    options: dict[str, Any] = {
        "http": protocol,
        # consoles: what a screen sends is packed already
        "ws": "websockets-sansio",
        "ws_max_size": largest_message,
        "ws_per_message_deflate": False,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "lifespan": "off",
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": 5,
    }
    return _Server(uvicorn.Config(cast("Any", app), **options))


def _beside(servers: Mapping[str, _Server], sockets: Mapping[str, socket.socket]) -> asyncio.Future[None]:
    """Serve in a thread with a loop of its own; the future ends as the servers do.

    Pages ask the clouds over HTTP while they hold one of their loop's worker threads. If the clouds answered from
    the same threads, a burst of pages would take them all and wait for answers that nobody could give.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    async def serve_all() -> None:
        await asyncio.gather(*(server.serve(sockets=[sockets[what]]) for what, server in servers.items()))

    def work() -> None:
        failure: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve_all())
        except BaseException as error:  # noqa: BLE001 - whatever it was, it is told where it is awaited
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, failure)

    threading.Thread(target=work, name="clouds", daemon=True).start()
    return ended


@contextlib.contextmanager
def deadline(seconds: float) -> Generator[Callable[[int], None]]:
    """Yield what ends the process that much later, unless the block has ended by then.

    A thread may wait for a cloud that is silent, and Python would wait for the thread.
    """

    def end(status: int) -> None:
        log.warning("something still waits; ended without it")
        logging.shutdown()
        os._exit(status)

    timers: list[threading.Timer] = []

    def start(status: int) -> None:
        timer = threading.Timer(seconds, end, [status])
        timer.daemon = True
        timer.start()
        timers.append(timer)

    try:
        yield start
    finally:
        for timer in timers:
            timer.cancel()


async def _answering(servers: Iterable[_Server], tasks: Sequence[asyncio.Future[None]]) -> None:
    while not all(server.started for server in servers):
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)


async def _serve(
    settings: Settings, ready: Callable[[Started], None], end_in_any_case: Callable[[int], None]
) -> None:
    """Run until SIGTERM or SIGINT. Calls `ready` once requests are answered."""
    clock = SystemClock()
    sockets = open_sockets(settings)
    platform = await asyncio.to_thread(
        build_platform, settings=settings, clock=clock, addresses=addresses_of(sockets)
    )
    collect_seldom()
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    front = _front(platform, settings)
    clouds = {f"cloud {name}": _plain(cloud.app) for name, cloud in platform.clouds.items()}
    servers = [*front.values(), *clouds.values()]
    serving: list[asyncio.Future[None]] = [
        asyncio.ensure_future(server.serve(sockets=[sockets[what]])) for what, server in front.items()
    ]
    # Without any, their thread would end at once, and a server that ends is the end of the platform.
    if clouds:
        serving.append(_beside(clouds, sockets))
    await _answering(servers, serving)
    recovery = asyncio.create_task(asyncio.to_thread(platform.recover))
    loops = [asyncio.create_task(every(loop.seconds, loop.name, loop.work)) for loop in platform.loops]
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
    # last, when nothing can stop the start any more: it is told once
    admin_password = await asyncio.to_thread(platform.accounts.bootstrap_admin)
    ready(Started(instance=running, admin_password=admin_password))
    try:
        waiter = asyncio.create_task(ended.wait())
        done, _ = await asyncio.wait([waiter, *serving, *loops], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiter}:
            task.result()  # a server or a loop must not end by itself: say why
    finally:
        end_in_any_case(0 if ended.is_set() else 1)
        for loop in loops:
            loop.cancel()
        platform.transfers.bell.close()
        platform.batch.agents.bell.close()  # whoever waits for work or news gets an answer, and is not waited for
        await platform.inside.close()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(recovery, *serving, *loops, return_exceptions=True)
        await asyncio.to_thread(platform.close)


def run(settings: Settings, ready: Callable[[Started], None]) -> None:
    """Run the platform of `settings.home` in this process until it is told to end.

    Raises:
        Conflict: one runs there already, or a port is taken.
    """
    with (
        instance.hold(settings.home),
        deadline(_LAST_WORDS_SECONDS) as end_in_any_case,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(settings, ready, end_in_any_case))
