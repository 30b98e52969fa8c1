"""The first five minutes of somebody who has never seen a cloud: in a browser, with machines that are real."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from astropy.io import fits
from playwright.sync_api import Browser, Page, expect, sync_playwright

from armillary.recipes.service import build
from chromium import ARGUMENTS, CHROMIUM
from golden import Golden
from post_office import Letters, PostOffice, port_of

pytestmark = [pytest.mark.vm, pytest.mark.browser, pytest.mark.timeout(1800)]

PASSWORD = "correct horse battery"
M51 = Path(str(files("armillary.app.demo").joinpath("data", "m51.fits")))
# Real machines on an emulated processor, beside others: what takes a minute may take many.
PAGE, BOOT, INSTALL, JOBS = 60_000, 480_000, 900_000, 900_000
PROGRAM = """\
#!/bin/sh
# usage: strip.sh NAME FIELD FIRST LAST
[ -e "$2" ] || vcp "vos:home/ada/$2" . || { echo "there is no $2 in VOSpace yet" >&2; exit 3; }
fitscopy "$2[$3:$4,1:512]" "$1.fits"
"""
ROWS = "\n".join(
    ["name,field,first,last", *(f"s{n},{'m51' if n < 11 else 'late'}.fits,{n * 40 + 1},{n * 40 + 64}" for n in range(12))]
)  # fmt: skip
TERMINAL = """async (words) => {
  const xsrf = Object.fromEntries(document.cookie.split("; ").map((one) => one.split("=")))._xsrf;
  const made = await fetch("/api/terminals", { method: "POST", headers: { "X-XSRFToken": xsrf } });
  const { name } = await made.json();
  const line = new WebSocket(`ws://${location.host}/terminals/websocket/${name}`);
  let heard = "";
  await new Promise((done, failed) => {
    line.onerror = () => failed(heard);
    line.onmessage = ({ data }) => {
      const [kind, text] = JSON.parse(data);
      if (kind === "setup") line.send(JSON.stringify(["stdin", "echo $USER on $(hostname) $((6 * 7))\\r"]));
      if (kind === "stdout") heard += text;
      if (heard.includes(words)) done();
    };
  });
  line.close();
  await fetch(`/api/terminals/${name}`, { method: "DELETE", headers: { "X-XSRFToken": xsrf } });
  return heard;
}"""
"""Has JupyterLab's page open a terminal and hear `words` there."""


@dataclass(kw_only=True)
class Beginner:
    """Ada in her browser, and the machine that she has launched."""

    page: Page
    chromium: Browser
    machine: str
    key: Path

    def inside(self, script: str, *, given: Path | None = None) -> str:
        """Run a script in her machine by the ssh line that its page shows, with her key."""
        self.page.goto(self.machine)
        line = shlex.split(self.page.locator("#ssh-line").inner_text(timeout=PAGE))
        options = [f"-o{one}" for one in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")]  # fmt: skip
        with (given or Path("/dev/null")).open("rb") as stdin:
            done = subprocess.run(
                [line[0], "-i", str(self.key), *options, *line[1:], script],
                stdin=stdin, capture_output=True, text=True, timeout=600, check=False,
            )  # fmt: skip
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def letters() -> Generator[tuple[Letters, PostOffice]]:
    kept = Letters()
    office = PostOffice(kept, hostname="127.0.0.1", port=0)
    office.start()
    yield kept, office
    office.stop()


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, letters: tuple[Letters, PostOffice]
) -> Generator[Golden]:
    """A platform as an operator has it after `up` and the first image."""
    base = build("debian-12")
    platform = Golden(tmp_path_factory.mktemp("five") / "home", {"east": "127.29.0.0/24"})
    platform.configure(
        mail={"host": "127.0.0.1", "port": port_of(letters[1])},
        batch={"warm_workers": False, "idle_seconds": 600},
    )
    try:
        platform.password = json.loads(platform.operate("up", "--json"))["admin_password"]
        platform.publish(base.name, base.path, cloud="east")
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    """A browser whose event loop ends with this file: tests after it have loops of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def ada(
    chromium: Browser,
    platform: Golden,
    letters: tuple[Letters, PostOffice],
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Beginner]:
    """She registers in French, is approved, hears of it, and launches a machine in English."""
    key = tmp_path_factory.mktemp("ada") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    page = person(chromium, platform, "fr-CA")
    register(page)
    approve(person(chromium, platform, "en-CA"), platform.password)
    hears_in_french(page, letters[0])
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/keys")
    page.get_by_label("Paste a public key").fill(key.with_suffix(".pub").read_text())
    page.get_by_role("button", name="Add the key").click()
    launch(page)
    yield Beginner(page=page, chromium=chromium, machine=page.url.partition("?")[0], key=key)
    assert complaints == []


def person(chromium: Browser, platform: Golden, locale: str) -> Page:
    context = chromium.new_context(base_url=platform.running()["portal_url"], locale=locale)
    page = context.new_page()
    page.set_default_timeout(PAGE)
    return page


def register(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="S'inscrire et demander un projet").first.click()
    for name, value in {
        "user_name": "ada",
        "full_name": "Ada Lovelace",
        "email": "ada@example.org",
        "institute": "Analytical Engines",
        "password": PASSWORD,
        "password_again": PASSWORD,
        "project_name": "galaxies",
        "reason": "Strips of M51.",
    }.items():
        page.locator(f"main [name={name}]").fill(value)
    page.get_by_role("button", name="S'inscrire").click()
    waits = page.get_by_role("main")
    expect(waits).to_contain_text("en attente d'approbation", timeout=PAGE)
    asked = datetime.fromisoformat(waits.locator("time[datetime]").first.get_attribute("datetime") or "")
    assert abs(datetime.now(UTC) - asked) < timedelta(minutes=10)


def approve(admin: Page, password: str) -> None:
    admin.goto("/sign-in")
    admin.get_by_label("User name").fill("admin")
    admin.get_by_label("Password").fill(password)
    admin.get_by_role("main").get_by_role("button", name="Sign in").click()
    admin.get_by_role("link", name="Decide").click()
    admin.get_by_label("Batch cores").fill("2")
    admin.get_by_role("button", name="Approve with these figures").click()
    expect(admin.get_by_role("main")).to_contain_text("2 batch cores", timeout=PAGE)
    admin.context.close()


def hears_in_french(page: Page, letters: Letters) -> None:
    assert letters.came.wait(120), "no letter came"
    ((to, letter),) = letters.kept
    assert to == ["ada@example.org"]
    assert "Votre demande pour le projet galaxies est acceptée." in letter.get_payload(decode=True).decode()
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("galaxies", timeout=PAGE)
    page.get_by_role("button", name="English").click()
    page.goto("/applications")
    expect(page.get_by_role("main")).to_contain_text("approved, with", timeout=PAGE)


def launch(page: Page) -> None:
    """Three fields; then the boot log grows and the way in appears, on a page that nobody loads again."""
    page.goto("/")
    page.get_by_role("link", name="Launch a machine").click()
    page.get_by_label("Image", exact=True).select_option(index=0)
    page.get_by_label("Size", exact=True).select_option("c2-2gb-10")
    page.get_by_label("Name", exact=True).fill("workbench")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url(re.compile(r"/machines/east/[0-9a-f-]{36}"))
    page.evaluate("window.stays = true")
    log = page.get_by_role("log", name="Boot log")
    expect(log).to_contain_text("Linux version", timeout=BOOT)
    expect(page.get_by_role("heading", level=1)).to_contain_text("running", timeout=PAGE)
    expect(page.get_by_role("link", name="Shell")).to_be_visible(timeout=PAGE)
    expect(log).to_contain_text("workbench login:", timeout=BOOT)
    assert page.evaluate("window.stays") is True


def open_shell(page: Page) -> None:
    """Open the shell of the page; while the machine still boots, its ssh may not answer yet."""
    page.get_by_role("link", name="Shell").click()
    prompt = page.locator(".xterm-rows").filter(has_text="debian@workbench")
    again = page.get_by_role("button", name="Connect again")
    for _ in range(20):
        expect(prompt.or_(again).first).to_be_visible(timeout=BOOT)
        if not again.is_visible():
            return
        again.click()
        expect(again).to_be_hidden()
    raise AssertionError(page.locator("#state").inner_text())


def types(page: Page, command: str, answer: str) -> None:
    """Type a line in the shell of the page, and wait for what it prints."""
    screen = page.locator(".xterm-rows")
    page.locator("#window").click()
    page.keyboard.type(f"clear; {command}\n")
    expect(screen).to_contain_text(answer, timeout=INSTALL)


def test_jupyterlab_opens_in_the_page_signed_in_and_without_a_port(ada: Beginner, tmp_path: Path) -> None:
    put_jupyterlab_into(ada, tmp_path)
    page = ada.page
    page.goto(ada.machine)
    ways: list[str] = []
    page.on("request", lambda request: ways.append(request.url) if ".localhost:" in request.url else None)
    page.get_by_role("button", name="JupyterLab").click()
    page.wait_for_url(re.compile(r"^http://m-[^/]*\.localhost:\d+/lab"), timeout=BOOT, wait_until="commit")
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=BOOT)
    assert "debian on workbench 42" in page.evaluate(TERMINAL, "debian on workbench 42")

    way = ways[0]  # the one that led in is good once, and nobody comes in without
    assert page.goto(way).status == 403
    parts = urlsplit(way)
    stranger = {"host": parts.netloc}
    asked = httpx2.get(f"http://127.0.0.1:{parts.port}/api/status", headers=stranger, trust_env=False)
    assert asked.status_code == 401
    assert "8888" not in ada.inside("ss -ltnH")
    assert ada.inside("stat -c %a .local/share/armillary/run/jupyter.sock") == "600"
    ada.inside("pkill -f '[j]upyterlab'; true")  # what comes next needs the processor


def put_jupyterlab_into(ada: Beginner, folder: Path) -> None:
    """JupyterLab, put into the machine from here: to install it takes minutes when the processor is emulated."""
    python = ada.inside("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    site = folder / "site"
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "--python-version", python,
            "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64", "--only-binary=:all:",
            "jupyterlab",
        ],
        check=True, timeout=600,
    )  # fmt: skip
    packed = folder / "site.tar.gz"
    left = ("tests", "jedi", "debugpy", "jupyterlab/static", "babel/locale-data/[a-df-z]*")
    excluded = [f"--exclude={one}" for one in left]
    subprocess.run(["tar", "-czf", str(packed), *excluded, "-C", str(site), "."], check=True)
    ada.inside("mkdir -p lab .local/bin && tar -xzf - -C lab", given=packed)
    program = (
        "#!/bin/sh\nexport PYTHONPATH=$HOME/lab JUPYTER_CONFIG_PATH=$HOME/lab/etc/jupyter\n"
        "export JUPYTER_PATH=$HOME/lab/share/jupyter JUPYTERLAB_DIR=$HOME/lab/share/jupyter/lab\n"
        'exec python3 -m jupyterlab "$@"\n'
    )
    ada.inside(f"cat > .local/bin/jupyter-lab <<'PROGRAM'\n{program}PROGRAM\nchmod +x .local/bin/jupyter-lab")


def test_software_is_installed_in_a_shell_and_its_snapshot_makes_images_of_a_galaxy(ada: Beginner) -> None:
    page = ada.page
    page.goto(ada.machine)
    open_shell(page)
    types(page, "echo $USER on $(hostname) $((6 * 7))", "debian on workbench 42")
    types(
        page,
        "sudo apt-get update -qq && sudo apt-get install -qqy --no-install-recommends libcfitsio-bin "
        "&& sync && echo there $((6 * 7))",
        "there 42",
    )
    digest = snapshot(page, ada.machine)
    make_folder(page, "strips")
    submit(page, digest)
    watch(page)
    see_the_galaxy(page)
    share(page, ada.chromium)


def snapshot(page: Page, machine: str) -> str:
    page.goto(machine)
    page.get_by_label("Name of the snapshot").fill("with-cfitsio")
    page.get_by_role("button", name="Make a snapshot").click()
    row = page.get_by_role("row", name="with-cfitsio")
    expect(row).to_contain_text("ready", timeout=BOOT)
    return row.locator("code").inner_text()


def make_folder(page: Page, name: str) -> None:
    page.goto("/files")
    page.get_by_label("New folder").fill(name)
    page.get_by_role("button", name="Make the folder").click()
    expect(page.get_by_role("link", name=name).first).to_be_visible()


def submit(page: Page, digest: str) -> None:
    page.goto("/images")
    page.get_by_role("row", name="with-cfitsio").get_by_role("link", name="Run jobs with this image").click()
    expect(page.get_by_label("Image").locator("option:checked")).to_contain_text(digest)
    page.get_by_label("Program", exact=True).fill("strip.sh")
    page.get_by_label("Arguments").fill("$(name) $(field) $(first) $(last)")
    page.get_by_label("Table of parameters").fill(ROWS)
    page.get_by_label("Input files of each job").fill("m51.fits")
    page.get_by_label("Results of each job").fill("$(name).fits")
    page.get_by_label("Memory").fill("512M")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Folder in VOSpace for the results").fill("vos:home/ada/strips")
    page.get_by_label("Program and input files").set_input_files(
        [
            {"name": "strip.sh", "mimeType": "text/x-shellscript", "buffer": PROGRAM.encode()},
            {"name": "m51.fits", "mimeType": "application/fits", "buffer": M51.read_bytes()},
        ]
    )
    expect(page.locator("#ahead")).to_contain_text(re.compile("workers? could start now"), timeout=PAGE)
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The jobs are queued.", timeout=PAGE)


def watch(page: Page) -> None:
    """Eleven do well; one lacks its field, says so, and does well when it is there."""
    jobs, main = page.url, page.get_by_role("main")
    expect(page.get_by_role("application", name="Picture of the jobs")).to_be_visible()
    expect(main).to_contain_text("11 completed", timeout=JOBS)
    cause = page.get_by_role("listitem").filter(has_text="1 job: Ended with exit code 3")
    expect(cause).to_be_visible(timeout=JOBS)
    cause.get_by_role("link", name="The first of them").click()
    said = page.get_by_role("log", name="Standard error")
    expect(said).to_contain_text("there is no late.fits in VOSpace yet", timeout=PAGE)
    page.goto("/files/home/ada")
    late = {"name": "late.fits", "mimeType": "application/fits", "buffer": M51.read_bytes()}
    page.get_by_label("Upload files").set_input_files([late])
    expect(page.get_by_role("link", name="late.fits").first).to_be_visible(timeout=PAGE)
    page.goto(jobs)
    cause.get_by_role("button", name="Retry this one").click()
    expect(main).to_contain_text("12 completed", timeout=JOBS)


def see_the_galaxy(page: Page) -> None:
    page.get_by_role("link", name="Files").first.click()
    page.get_by_role("link", name="strips").first.click()
    row = page.get_by_role("row").filter(has_text="s6.fits")
    picture = row.locator("img")
    expect(picture).to_have_js_property("complete", True, timeout=PAGE)
    assert picture.evaluate("(image) => image.naturalWidth") > 0
    row.get_by_role("link", name="View").click()
    expect(page.locator("[data-viewer]")).to_have_attribute("data-state", "shown", timeout=BOOT)
    page.get_by_label("x", exact=True).fill("16")
    page.get_by_label("y", exact=True).fill("257")
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator("[data-pixel]")).to_have_text("16.0, 257.0", timeout=PAGE)
    with fits.open(M51) as image:
        assert float(page.locator("[data-value]").inner_text()) == image[0].data[256, 6 * 40 + 15]


def share(page: Page, chromium: Browser) -> None:
    page.goto("/files/home/ada/strips/s6.fits?about=1")
    page.get_by_label("Groups that may read", exact=True).fill("galaxies")
    page.get_by_role("button", name="Change the access").click()
    expect(page.get_by_label("Groups that may read", exact=True)).to_have_value("galaxies", timeout=PAGE)
    page.get_by_role("button", name="Make a link").click()
    address = page.locator(".link code").first.inner_text(timeout=PAGE)
    context = chromium.new_context()  # of somebody who has no account
    guest = context.new_page()
    guest.goto(address)
    with guest.expect_download(timeout=PAGE) as fetched:
        guest.get_by_text("Download", exact=True).first.click()
    assert Path(fetched.value.path()).read_bytes().startswith(b"SIMPLE  =")
    context.close()
