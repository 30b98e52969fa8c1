"""Servers that are measured, and nginx as one of them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Server:
    """One that is measured. `urls` are those of its files, by scheme."""

    name: str
    pids: Callable[[], list[int]]
    urls: dict[str, str]
    headers: tuple[str, ...] = ()

    def seconds_busy(self) -> float:
        """Processor time of all its processes."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError):
                words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(words[11]) + int(words[12])
        return total / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        """The most memory that its largest process had since the last `forget_peak`, in MiB."""
        return max(
            int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) >> 10
            for pid in self.pids()
        )

    def forget_peak(self) -> None:
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


@contextlib.contextmanager
def nginx(folder: Path, authority: Path) -> Generator[Server]:
    """Run nginx on two free ports, with all processors."""
    ports = {scheme: _free_port() for scheme in ("http", "https")}
    certificate = next(authority.glob("*server*.pem"))
    (folder / "files").mkdir()
    folder.chmod(0o755)
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes auto;
        {"user root;" if os.geteuid() == 0 else ""}
        events {{ worker_connections 4096; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000;
            client_max_body_size 0; client_body_temp_path {folder}/body; proxy_temp_path {folder}/t1;
            fastcgi_temp_path {folder}/t2; uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
            server {{
                listen 127.0.0.1:{ports["http"]}; listen 127.0.0.1:{ports["https"]} ssl;
                ssl_certificate {certificate}; ssl_certificate_key {certificate};
                root {folder}/files; location / {{ dav_methods PUT DELETE; }}
            }}
        }}
        """
    )
    words = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        for scheme, port in ports.items():
            _wait_for(port, scheme)
        urls = {scheme: f"{scheme}://127.0.0.1:{port}" for scheme, port in ports.items()}
        yield Server(name="nginx", pids=lambda: family(process.pid), urls=urls)
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def _wait_for(port: int, what: str) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit(f"nginx does not answer ({what})")
