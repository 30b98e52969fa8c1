"""Inside of a real machine by way of the portal: a shell. JupyterLab there is opened by a browser in the first five minutes."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

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
