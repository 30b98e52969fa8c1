"""The command lines that pages show, run as they stand against the platform that shows them."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from platform_process import RunningPlatform, running_platform

from armillary.cli.main import cli

pytestmark = pytest.mark.timeout(300)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p ada@laptop"
SUBMIT = "executable = count.sh\narguments = $(Process)\nhold = true\nqueue 3\n"
PLACEHOLDER = re.compile(r"\b(?:[A-Z]{2,}|[A-Z]+-[A-Z]+)\b|<")
"""What a person puts a word of their own in place of: the line does not run as it stands."""
ELSEWHERE = re.compile(
    r"/(?:api|arc|vault|console|static)/|.*/(?:inside|log|download|file|crate\.zip|record)\b|.*\?download="
)
"""What has no lines: other services, windows into machines, and files."""
NOT_TO_BE_RUN = {
    "login", "password", "register", "submit", "hold", "release", "retry", "remove", "priority", "rerun", "compare",
    "logs", "export", "freeze", "unfreeze", "cite", "why", "verify", "import", "console", "jupyter", "ssh", "fetch",
    "machine launch", "machine snapshot", "machine extend", "volume create", "volume attach", "volume delete",
    "network create", "token create", "share make", "group create", "group add", "group invite", "group join",
    "application more", "application create", "notices read", "notices prefer", "image share", "image diff",
    "image packages", "image lineage", "admin approve", "admin decline", "admin announce", "admin drain",
    "admin resume", "admin disable", "admin reset-link",
}  # fmt: skip
"""Commands that change something, open something, or need jobs that have ended: they have tests of their own."""
MOST_OF_A_KIND = 3


class Visitor:
    """An administrator at the portal of a platform in another process."""

    def __init__(self, platform: RunningPlatform) -> None:
        self.http = httpx2.Client(
            base_url=platform.portal, trust_env=False, follow_redirects=True, timeout=60
        )

    def get(self, path: str) -> str:
        reply = self.http.get(path)
        assert reply.status_code == 200, f"{path}: {reply.status_code}"
        return reply.text if reply.headers["content-type"].startswith("text/html") else ""

    def post(self, path: str, **fields: str) -> None:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/keys"))
        assert token
        files = [("files", ("count.sh", b"#!/bin/sh\n"))] if "submit_text" in fields else None
        reply = self.http.post(path, data={"csrf": token.group(1), **fields}, files=files)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {reply.text}"

    def pages(self) -> Iterator[str]:
        """Every page that links lead to, a few of each kind."""
        waiting, seen, opened = ["/"], {"/"}, dict[str, int]()
        while waiting:
            address = waiting.pop(0)
            kind = re.sub(r"[0-9a-f]{8}[0-9a-f-]{24,}|\d+", "*", address)
            opened[kind] = opened.get(kind, 0) + 1
            if opened[kind] > MOST_OF_A_KIND:
                continue
            page = self.get(address)
            yield page
            for link in map(html.unescape, re.findall(r'<a\b[^>]*?\bhref="(/[^/"#][^"#]*)', page)):
                if link not in seen and not ELSEWHERE.match(link):
                    seen.add(link)
                    waiting.append(link)


@pytest.fixture
def platform(tmp_path: Path) -> Generator[RunningPlatform]:
    home = tmp_path / "platform"
    home.mkdir()
    with running_platform(home) as platform:
        platform.upload_base_image("debian-12", b"a disk that nothing boots from " * 1000)
        yield platform


@pytest.fixture
def visitor(platform: RunningPlatform) -> Generator[Visitor]:
    """An administrator with a bit of everything."""
    visitor = Visitor(platform)
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', visitor.get("/sign-in"))
    assert token
    proof = {"csrf": token.group(1), "user_name": "admin", "password": platform.password}
    assert visitor.http.post("/sign-in", data=proof).status_code == 200
    visitor.post("/keys", key=KEY, name="laptop")
    visitor.post("/machines/launch", image="debian-12", flavor="c1-1gb-5", name="my-bench")
    visitor.post("/volumes", cloud="east", name="spare", size="5")
    visitor.post("/groups", name="observers", description="Who observes.")
    visitor.get("/files")
    visitor.post("/files/home/admin", action="mkdir", name="two words")
    visitor.post("/jobs/submit", image="debian-12", flavor="c2-2gb-10", submit_text=SUBMIT)
    yield visitor
    visitor.http.close()


def is_to_be_run(line: str) -> bool:
    words = shlex.split(line)
    if words[0] != "armillary" or PLACEHOLDER.search(line):
        return False
    return words[1] not in NOT_TO_BE_RUN and " ".join(words[1:3]) not in NOT_TO_BE_RUN


def test_each_line_that_only_looks_runs_as_it_is_shown(
    platform: RunningPlatform, visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ARMILLARY_URL", "ARMILLARY_TOKEN", "ARMILLARY_CA", "ARMILLARY_PROJECT", "ARMILLARY_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    runner = CliRunner()
    signing_in = ["login", "admin", "--url", platform.portal, "--password-stdin"]
    assert runner.invoke(cli, signing_in, input=platform.password + "\n").exit_code == 0
    lines = {
        html.unescape(line)
        for page in visitor.pages()
        for line in re.findall(r"<code data-command>(.*?)</code>", page, re.DOTALL)
    }
    failed: list[str] = []
    ran = sorted(line for line in lines if is_to_be_run(line))
    for line in ran:
        done = runner.invoke(cli, shlex.split(line)[1:])
        if done.exit_code:
            failed.append(f"{line}: {done.exit_code} {done.output[-300:]} {done.exception!r}")
    assert failed == []
    commands = {" ".join(shlex.split(line)[1:3]) for line in ran}
    assert {
        "machine list",
        "machine show",
        "group show",
        "volume list",
        "token list",
        "admin people",
    } <= commands
    assert len(commands) >= 20, commands
