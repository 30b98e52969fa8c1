"""The pages where a crate that somebody brings is checked, and its jobs are taken in."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest
from batch_desk import BatchDesk
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.base.clock import SystemClock
from armillary.base.errors import Invalid, TooLarge
from armillary.crates import bounds
from armillary.crates.bounds import Bounded, open_bounded
from armillary.crates.shelves import Zip
from armillary.fleet.fake import FakeCloud
from armillary.portal.chores import Chores
from armillary.portal.pages import crates
from armillary.provenance.service import Provenance

FILES = [("files", ("count.sh", b"#!/bin/sh\n"))]


@pytest.fixture
def crate(ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk) -> bytes:
    """The crate of a job of Ada's."""
    image = str(clouds[0].images(project)[0].sha512)
    submit = "executable = count.sh\nqueue\n"
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": submit}, files=FILES)
    desk.do_job(files={"m51.cat": b"7 sources"})
    return ada.client.get("/jobs/1/crate.zip").content


def changed(crate: bytes, **files: bytes | None) -> bytes:
    """A crate with other bytes in files whose paths end so; None: without the file."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(crate)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            data: bytes | None = old.read(name)
            for ending, other in files.items():
                if name.endswith(ending):
                    data = other
            if data is not None:
                new.writestr(name, data)
    return packed.getvalue()


def check(browser: Browser, crate: bytes, key: str = "") -> str:
    return browser.post("/crates", {"key": key}, files=[("crate", ("m51.zip", crate))])


def test_a_good_crate_is_said_to_be_so_and_its_jobs_are_imported_and_run_again(
    ada: Browser, crate: bytes, provenance: Provenance
) -> None:
    (key,) = provenance.published_keys()
    page = check(ada, crate, key.id)
    assert "Nothing was changed since it was signed." in page
    assert "this platform" in page
    ticket = re.search(r'action="/crates/([A-Za-z0-9_-]+)/import"', page)
    assert ticket
    refused = ada.post(f"/crates/{ticket.group(1)}/import", {}, status=400)
    assert "Somebody has to be trusted" in refused
    page = ada.post(f"/crates/{ticket.group(1)}/import", {"trust": key.id})
    assert "The jobs are here, and can be run again." in page
    assert 'href="/rerun/import-1"' in page
    polled = ada.client.get(
        f"/crates/{ticket.group(1)}", headers={"hx-request": "true"}, follow_redirects=False
    )
    assert (polled.status_code, polled.headers["hx-redirect"]) == (204, "/imports/1?notice=imported")
    assert 'href="/imports/1"' in ada.get("/crates")
    page = ada.get("/rerun/import-1")
    assert "armillary rerun import-1" in page
    assert "They are compared when all jobs are over." in ada.post(
        "/rerun/import-1", {"on": "", "of": "galaxies", "key": "k"}
    )


def test_an_import_of_many_jobs_comes_in_pages_and_only_their_records_are_read(
    ada: Browser,
    clouds: list[FakeCloud],
    project: Project,
    desk: BatchDesk,
    provenance: Provenance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crates, "SHOWN", 2)
    image = str(clouds[0].images(project)[0].sha512)
    submit = "executable = count.sh\nqueue 5\n"
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": submit}, files=FILES)
    for _ in range(5):
        desk.do_job()
    page = check(ada, ada.client.get("/jobs/1/crate.zip").content)
    ticket = re.search(r'action="/crates/([A-Za-z0-9_-]+)/import"', page)
    (key,) = provenance.published_keys()
    assert ticket
    ada.post(f"/crates/{ticket.group(1)}/import", {"trust": key.id})
    read: list[str] = []
    path = desk.spool.path
    monkeypatch.setattr(desk.spool, "path", lambda sha256: read.append(sha256) or path(sha256))
    page = ada.get("/imports/1")
    assert len(read) == 4, "the submit's, those on the page, and one to know that there are more"
    assert re.findall(r"<tr><td>([0-9.]+)", page) == ["1.0", "1.1"]
    assert "5 in all" in page
    assert f'title="{key.id}"' in page
    assert 'href="/imports/1?start=2"' in page
    last = ada.get("/imports/1?start=4")
    assert re.findall(r"<tr><td>([0-9.]+)", last) == ["1.4"]
    assert 'rel="next"' not in last
    ada.get("/imports/1?start=9", status=404)


def test_a_machine_image_in_a_crate_is_brought_along(
    ada: Browser, crate: bytes, clouds: list[FakeCloud], project: Project, provenance: Provenance
) -> None:
    whole = ada.client.get("/jobs/1/crate.zip?image=1").content
    clouds[0].delete(project, clouds[0].images(project)[0].id)
    (key,) = provenance.published_keys()
    page = check(ada, whole, key.id)
    assert "Its machine image, too (4 B), into a cloud of project galaxies" in page
    ticket = re.search(r'action="(/crates/[A-Za-z0-9_-]+)/import"', page)
    assert ticket
    ada.post(f"{ticket.group(1)}/import", {"trust": key.id, "image": "1"})
    assert [image.name for image in clouds[0].images(project)] == ["debian-12"]
    assert "<button>Run again</button>" in ada.get("/rerun/import-1")


def test_each_thing_that_was_changed_is_named(ada: Browser, crate: bytes) -> None:
    changes: list[tuple[dict[str, bytes | None], str]] = [
        ({"m51.cat": b"9 sources"}, "is not what was recorded"),
        ({"m51.cat": None}, "is missing"),
        ({"records/1.0.json": b"{}"}, "cannot be read"),
        ({"records/1.0.json.sig": None}, "is missing"),
        ({"prov.json": b"{}"}, "is not what was recorded"),
    ]
    for files, told in changes:
        page = check(ada, changed(crate, **files))
        assert "not as it was signed" in page or "not as they were signed" in page
        assert told in page
        assert "/import" not in page.replace("/imports", "")
    page = check(ada, crate, "0" * 64)
    assert "is not the key that you trust" in page


def test_names_in_a_crate_are_hostile(ada: Browser, crate: bytes) -> None:
    packed = BytesIO(crate)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("<script>alert(1)</script>.txt", b"x")
        archive.writestr("../../etc/passwd", b"x")
    page = check(ada, packed.getvalue())
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "no record accounts for it" in page


@pytest.mark.parametrize(
    "what", [b"", b"no zip at all", b"PK\x05\x06" + b"\xff" * 18, b"PK\x05\x06" + bytes(18)]
)
def test_what_is_no_crate_is_refused(ada: Browser, what: bytes) -> None:
    page = check(ada, what)
    assert "problem" in page or "record" in page
    assert "Nothing was changed since it was signed." not in page


def test_a_key_that_is_none_is_marked(ada: Browser, crate: bytes) -> None:
    page = check(ada, crate, "no key <b>")
    assert "This is neither a fingerprint nor a public key." in page
    assert "no key &lt;b&gt;" in page


def test_a_crate_and_an_import_are_their_owners_alone(
    ada: Browser, crate: bytes, outsider: str, provenance: Provenance
) -> None:
    (key,) = provenance.published_keys()
    page = check(ada, crate)
    ticket = re.search(r'action="(/crates/[A-Za-z0-9_-]+)/import"', page)
    assert ticket
    ada.post(f"{ticket.group(1)}/import", {"trust": key.id})
    ada.client.cookies.clear()
    other = Browser(ada.client).sign_in(outsider)
    other.get(ticket.group(1), status=404)
    other.get("/imports/1", status=404)
    assert "/imports/1" not in other.get("/crates")


def test_a_zip_is_not_read_without_an_end(crate: bytes) -> None:
    with zipfile.ZipFile(BytesIO(crate)) as archive:
        shelf = Bounded(Zip(archive=archive), most_bytes=5)
        with pytest.raises(TooLarge):
            list(shelf.chunks("outputs/1.0/m51.cat"))
        assert shelf.refusal is not None
        with pytest.raises(TooLarge):
            next(shelf.chunks("submit.sub"))
        with pytest.raises(TooLarge):
            Bounded(Zip(archive=archive), most_files=3).names()
        with pytest.raises(TooLarge):
            list(Bounded(Zip(archive=archive), most_paper=10).chunks("records/cluster.json"))


def test_a_list_of_files_that_is_too_long_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MOST_DIRECTORY", 1 << 20)
    many = BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(6_000):
            archive.writestr(f"{number:0200d}", b"")
    with pytest.raises(TooLarge) as refused, open_bounded(many, lambda _: None):
        pytest.fail("it was opened")
    assert refused.value.facts["has"].startswith("a list of files of 1.")


def test_a_list_of_files_that_is_said_to_be_longer_than_the_file_is_no_crates() -> None:
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 1 << 30, 0, 0)
    end_64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    empty = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    for ending in (end, end_64 + locator + empty):
        with pytest.raises((Invalid, TooLarge)), open_bounded(BytesIO(b"x" * 100 + ending), lambda _: None):
            pytest.fail("it was opened")
    with pytest.raises(Invalid), open_bounded(BytesIO(b"x"), lambda _: None):
        pytest.fail("it was opened")


class TestLater:
    @pytest.fixture
    def waiting(self) -> list[Callable[[], None] | None]:
        """Nothing: work is done at once. None in it: it waits here."""
        return []

    @pytest.fixture
    def chores(self, clock: SystemClock, waiting: list[Callable[[], None] | None]) -> Chores:
        return Chores(clock=clock, run=lambda work: waiting.append(work) if waiting else work(), soon=0)

    def test_an_import_that_waits_for_its_turn_has_its_crate_though_others_are_looked_at(
        self, ada: Browser, crate: bytes, provenance: Provenance, waiting: list[Callable[[], None] | None]
    ) -> None:
        (key,) = provenance.published_keys()
        page = check(ada, crate)
        ticket = re.search(r'action="(/crates/[A-Za-z0-9_-]+)/import"', page)
        assert ticket
        waiting.append(None)
        ada.post(f"{ticket.group(1)}/import", {"trust": key.id})
        _, work = waiting
        waiting.clear()
        for _ in range(3):
            check(ada, crate)
        assert work is not None
        work()
        assert 'href="/imports/1"' in ada.get("/crates")

    def test_a_crate_that_is_looked_at_still_is_not_imported(
        self, ada: Browser, crate: bytes, waiting: list[Callable[[], None] | None]
    ) -> None:
        waiting.append(None)
        answer = ada.client.post(
            "/crates", data={"key": "", "csrf": ada.token()}, files={"crate": ("m51.zip", crate)},
            follow_redirects=False,
        )  # fmt: skip
        assert "<progress" in ada.post(f"{answer.headers['location']}/import", {"trust": "x"})
