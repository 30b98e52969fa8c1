"""Inside of a real machine by way of the portal: a shell, and notebooks at an origin of their own."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.sync.client import ClientConnection, connect

from armillary.app.demo.path import SERVER
from golden import Golden

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900), pytest.mark.usefixtures("report")]


class Astronomer:
    """The demo's, signed in to the portal."""

    def __init__(self, golden: Golden) -> None:
        self.portal = golden.running()["portal_url"]
        self.http = httpx2.Client(base_url=self.portal, trust_env=False, follow_redirects=True, timeout=60)
        known = json.loads((golden.home / "demo" / "accounts.json").read_text())
        self.post("/sign-in", user_name=known["user"], password=known["user_password"])
        self.machine = f"/machines/east/{golden.openstack('server', 'show', SERVER)['id']}"

    def post(self, path: str, **fields: str) -> httpx2.Response:
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.http.get("/sign-in").text)
        assert token
        reply = self.http.post(path, data={"csrf": token[1], **fields})
        assert reply.status_code < 300, reply.text
        return reply

    def socket(self, kind: str) -> ClientConnection:
        address = self.post(f"{self.machine}/inside/{kind}/ticket").json()["socket"]
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)
        return connect(
            f"{self.portal.replace('http', 'ws', 1)}{address}",
            additional_headers={"Cookie": cookies, "Origin": self.portal}, proxy=None, max_size=None,
        )  # fmt: skip


@pytest.fixture(scope="module")
def astronomer(golden: Golden, report: dict[str, Any]) -> Iterator[Astronomer]:
    made = Astronomer(golden)
    yield made
    made.http.close()


def hears(line: ClientConnection, wanted: str, *, seconds: float = 120) -> str:
    heard, end = b"", time.monotonic() + seconds
    while wanted.encode() not in heard:
        said = line.recv(timeout=max(0.0, end - time.monotonic()))
        heard += said.encode() if isinstance(said, str) else said
    return heard.decode(errors="replace")


def test_the_portal_has_a_shell_in_a_machine_that_a_stock_client_made(astronomer: Astronomer) -> None:
    with astronomer.socket("shell") as shell:
        shell.send('{"rows": 31, "cols": 97}')
        shell.send(b"stty size; echo $USER on $(hostname) $((6 * 7))\r")
        said = hears(shell, f"debian on {SERVER} 42")
    assert "31 97" in said


def test_the_machine_told_its_host_keys_by_its_console(golden: Golden) -> None:
    log = golden.run("openstack", "console", "log", "show", SERVER)
    key = golden.inside("cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub")
    assert key in log


@pytest.fixture(scope="module")
def notebooks(
    golden: Golden, report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Jupyter's server, put into the machine from here: installing all of JupyterLab takes minutes when the processor is emulated."""
    site = tmp_path_factory.mktemp("site")
    python = golden.inside("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "--python-version", python,
            "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64", "--only-binary=:all:",
            "jupyter_server",
        ],
        check=True, timeout=300,
    )  # fmt: skip
    packed = site.with_suffix(".tar.gz")
    subprocess.run(["tar", "-czf", str(packed), "--exclude=tests", "-C", str(site), "."], check=True)
    program = '#!/bin/sh\nexport PYTHONPATH=$HOME/notebooks JUPYTER_CONFIG_PATH=$HOME/notebooks/etc/jupyter\nexec python3 -m jupyter_server "$@"\n'
    golden.inside("mkdir -p notebooks .local/bin && tar -xzf - -C notebooks", given=packed)
    golden.inside(
        f"cat > .local/bin/jupyter-lab <<'PROGRAM'\n{program}PROGRAM\nchmod +x .local/bin/jupyter-lab"
    )
    yield
    golden.inside("pkill -f '[m] jupyter_server' || true")  # later tests need the processor


@pytest.mark.usefixtures("notebooks")
def test_notebooks_run_in_the_machine_and_open_no_port(golden: Golden, astronomer: Astronomer) -> None:
    path = f"{astronomer.machine}/inside/jupyter"
    astronomer.post(f"{path}/start")
    end = time.monotonic() + 400
    while " data-go>" not in (reply := astronomer.http.get(f"{path}/standing")).text:
        assert "Try again" not in reply.text, reply.text
        assert time.monotonic() < end, reply.text
        time.sleep(0.5)
    way = astronomer.http.get(f"{path}/open", follow_redirects=False).headers["location"]
    parts = urlsplit(way)
    origin = f"{parts.scheme}://{parts.netloc}"
    # what browsers know by themselves, that names below localhost are this computer
    there = httpx2.Client(
        base_url=f"http://127.0.0.1:{parts.port}",
        headers={"host": parts.netloc},
        trust_env=False,
        timeout=120,
    )
    with there:
        entered = there.get(f"{parts.path}?{parts.query}")
        assert entered.status_code == 303
        ours = entered.headers["set-cookie"].partition(";")[0]
        assert there.get(f"{parts.path}?{parts.query}").status_code == 403
        assert there.get("/api/status", headers={"cookie": ""}).status_code == 401
        status = there.get("/api/status", headers={"cookie": ours})
        assert status.json()["kernels"] == 0
        page = there.get("/login", headers={"cookie": ours})
        token = re.search(r"_xsrf=([^;]+)", ";".join(page.headers.get_list("set-cookie")))
        assert token, page.headers
        cookies = f"{ours}; _xsrf={token[1]}"
        headers = {"cookie": cookies, "origin": origin, "x-xsrftoken": token[1]}
        terminal = there.post("/api/terminals", headers=headers).json()["name"]
        with connect(
            f"ws://{parts.netloc}/terminals/websocket/{terminal}",
            sock=socket.create_connection(("127.0.0.1", parts.port)), origin=origin, additional_headers={"Cookie": cookies}, proxy=None,
        ) as line:  # fmt: skip
            line.send(json.dumps(["stdin", "echo $(hostname) $((6 * 7))\r"]))
            hears(line, f"{SERVER} 42")
        there.delete(f"/api/terminals/{terminal}", headers=headers)
    listening = golden.inside("ss -ltnH | grep -v -e ':22 ' -e ':53 ' -e ':5355 ' || true")
    assert "8888" not in listening
    assert golden.inside("stat -c %a .local/share/armillary/run/jupyter.sock") == "600"
