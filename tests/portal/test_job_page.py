from __future__ import annotations

from batch_desk import BatchDesk
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.fleet.fake import FakeCloud

SUBMIT = """\
executable = count.sh
arguments = field-$(Process)
transfer_input_files = field.fits, vos:home/ada/m51.fits
request_memory = 1G
allowed_execute_duration = 7200
queue 3
"""
FILES = [("files", ("count.sh", b"#!/bin/sh\n")), ("files", ("field.fits", b"SIMPLE  ="))]


def queue(ada: Browser, clouds: list[FakeCloud], project: Project) -> None:
    image = str(clouds[0].images(project)[0].sha512)
    form = {"image": image, "flavor": "c2-2gb-10", "submit_text": SUBMIT}
    ada.post("/jobs/submit", form, files=FILES)


def test_a_job_shows_what_it_used_of_what_it_asked_for(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    assert "Used of what it asked for" not in ada.get("/jobs/1/0")
    desk.do_job(usage={"user_seconds": 1.0, "system_seconds": 0.5, "max_rss_kib": 262144, "disk_kib": 1024})
    page = ada.get("/jobs/1/0")
    assert "256 MiB of 1 GiB" in page
    assert "of 2.00 h" in page


def test_a_job_shows_its_inputs_its_image_and_its_submit_file(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    page = ada.get("/jobs/1/0")
    assert 'href="/files/home/ada/m51.fits"' in page
    assert "count.sh" in page
    assert "allowed_execute_duration = 7200" in page
    assert f"/images?digest={clouds[0].images(project)[0].sha512}" in page
    assert "armillary explain 1.0" in page


def test_a_log_is_followed_by_its_bytes_and_comes_whole(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    waiting = ada.client.get("/jobs/1/0/log/stdout/bytes")
    assert (waiting.content, waiting.headers["x-log-over"]) == (b"", "")
    assert 'data-log="/jobs/1/0/log/stdout/bytes"' in ada.get("/jobs/1/0")
    desk.do_job(output=b"<b>first</b>\nsecond\n")
    piece = ada.client.get("/jobs/1/0/log/stdout/bytes?offset=13")
    assert piece.content == b"second\n"
    assert piece.headers["content-type"].startswith("text/plain")
    assert piece.headers["x-content-type-options"] == "nosniff"
    assert (piece.headers["x-log-next"], piece.headers["x-log-over"]) == ("20", "yes")
    whole = ada.client.get("/jobs/1/0/log/stdout/file?attempt=1")
    assert whole.content == b"<b>first</b>\nsecond\n"
    assert "attachment" in whole.headers["content-disposition"]
    page = ada.get("/jobs/1/0")
    assert "&lt;b&gt;first" in page
    assert "data-log=" not in page
    ada.get("/jobs/1/0/log/secrets/bytes", status=404)
    ada.get("/jobs/9/0/log/stdout/bytes", status=404)


def test_lines_of_a_log_are_found_wherever_they_are(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    lines = b"".join(b"line %07d of many\n" % n for n in range(120_000))  # several pieces of a megabyte
    desk.do_job(output=lines + b"the last one: ERROR <here>\n")
    page = ada.get("/jobs/1/0/log/stdout?text=error")
    assert "1 line has it." in page
    assert f'<span class="at">{len(lines)}</span>the last one: ERROR &lt;here&gt;' in page
    assert "Only the first ones are shown." in ada.get("/jobs/1/0/log/stdout?text=line")
    assert "0 lines have it." in ada.get("/jobs/1/0/log/stdout?text=nothing")
    assert f'<span class="at">{21 * 99_999}</span>' in ada.get("/jobs/1/0/log/stdout?text=line+0099999")


def test_a_job_that_failed_offers_another_run_and_one_that_did_well_does_not(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    desk.do_job()
    desk.do_job(exit_code=2)
    assert "/jobs/1/0/retry" not in ada.get("/jobs/1/0")
    assert "/jobs/1/1/retry" in ada.get("/jobs/1/1")
    assert "Queued again." in ada.post("/jobs/1/1/retry")
    assert "<dd>-5</dd>" in ada.post("/jobs/1/1/priority", {"priority": "-5"})


def test_a_job_that_failed_says_how_it_ended_and_is_not_counted_as_one_that_did_well(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    desk.do_job(exit_code=3)
    desk.do_job()
    page = ada.get("/jobs/1/0")
    assert "It ended with exit code 3." in page
    assert "It has ended." not in page
    for listed in ("/jobs", "/"):
        counts = ada.get(listed).partition('class="counts"')[2].partition("</td>")[0]
        assert "1 completed" in counts
        assert "1 failed" in counts
        assert "1 waiting" in counts
