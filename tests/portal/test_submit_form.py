from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import unescape

import pytest
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.base.errors import Invalid
from armillary.base.units import format_size
from armillary.fleet.fake import FakeCloud
from armillary.portal.reading import read_apart
from armillary.portal.submit_check import check_submit
from armillary.portal.submit_form import compose

ROWS = "field,threshold\nm51.fits,1.5\nm101.fits,3.0\n"
FILLED = {
    "way": "form",
    "flavor": "c2-2gb-10",
    "executable": "find.sh",
    "arguments": "$(field) $(threshold)",
    "rows": ROWS,
    "outputs": "$(field).cat",
    "cores": "2",
    "memory": "512M",
    "hours": "0.5",
}
PROGRAM = [("files", ("find.sh", b"#!/bin/sh\necho found\n"))]


def filled(clouds: list[FakeCloud], project: Project, **other: str) -> dict[str, str]:
    return {**FILLED, "image": str(clouds[0].images(project)[0].sha512), **other}


def read(values: Mapping[str, str], *names: str) -> list[list[str]]:
    text = compose(values)
    check_submit(text)
    return [[job.executable, *job.arguments] for job in read_apart(text, names=names).jobs]


def test_a_table_makes_a_job_of_each_row() -> None:
    assert read(FILLED, "find.sh") == [["find.sh", "m51.fits", "1.5"], ["find.sh", "m101.fits", "3.0"]]


@pytest.mark.parametrize("mark", ["\t", ";", " "])
def test_rows_may_come_from_a_spreadsheet_or_a_list(mark: str) -> None:
    assert read({**FILLED, "rows": ROWS.replace(",", mark)}, "find.sh")[1] == ["find.sh", "m101.fits", "3.0"]


def test_values_with_blanks_and_commas_stay_whole() -> None:
    rows = 'field,note\nm51.fits,"a, b c"\n'
    values = {"executable": "find.sh", "arguments": "'$(note)' $(field)", "rows": rows}
    assert read(values, "find.sh") == [["find.sh", "a, b c", "m51.fits"]]


def test_columns_can_be_named_beside_the_table() -> None:
    values = {
        "executable": "/bin/echo",
        "there": "1",
        "columns": "n",
        "rows": "1\n2\n3\n",
        "arguments": "$(n)",
    }
    assert read(values) == [["/bin/echo", "1"], ["/bin/echo", "2"], ["/bin/echo", "3"]]


def test_results_go_to_vospace_when_the_program_ended_well() -> None:
    [first, _] = read({**FILLED, "destination": "vos:home/ada/results"}, "find.sh")
    assert first[:2] == ["/bin/sh", "-c"]
    assert first[2].endswith("./find.sh m51.fits 1.5 && vcp m51.fits.cat vos:home/ada/results/")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("executable", ""),
        ("executable", "a\nqueue 5"),
        ("rows", "field,threshold\nm51.fits\n"),
        ("rows", "field,threshold\nm51.fits,$(HOME)\n"),
        ("rows", "field,threshold\n"),
        ("rows", "1,2\n3,4\n"),
        ("cores", "many"),
        ("memory", "lots"),
        ("hours", "-1"),
        ("hours", "nan"),
        ("destination", "vos:../secrets"),
    ],
)
def test_a_field_that_is_not_right_is_named(field: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        compose({**FILLED, field: value})
    assert refused.value.facts["field"] == field


def test_the_form_queues_a_job_for_each_row_and_shows_the_file_it_made(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    page = ada.post("/jobs/submit", filled(clouds, project), files=PROGRAM)
    assert "2 waiting" in page
    assert "find.sh m101.fits 3.0" in ada.get("/jobs/1/1")
    assert "queue field, threshold from (" in ada.get("/jobs/1/file")


def test_before_the_click_it_says_what_it_would_use_and_which_clouds_refuse(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    chosen = json.dumps({"find.sh": 4096, "m51.fits": 10})
    page = ada.post("/jobs/submit/check", filled(clouds, project, chosen=chosen))
    assert "at most 2" in page  # two jobs with two cores, for half an hour
    assert f"1 · {format_size(4096)}" in page
    assert "0 of 4 used now" in page
    assert "east:</strong> 2 workers could start now, with 4 cores" in page
    assert "the image is copied there first" in page  # on west
    assert "queue field, threshold from (" in page
    ada.get("/jobs/1", status=404)


def test_before_the_click_a_refusal_stands_beside_the_lines_of_the_file(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    page = ada.post("/jobs/submit/check", filled(clouds, project))
    assert "find.sh, which was not uploaded" in page
    page = ada.post("/jobs/submit/check", filled(clouds, project, memory="900G", chosen='{"find.sh": 1}'))
    assert "asks for more than a machine of this size has" in page
    page = ada.post(
        "/jobs/submit", filled(clouds, project, arguments="$ENV(HOME)"), files=PROGRAM, status=400
    )
    assert "Line 2 of the submit file" in page
    assert '<span class="at">2</span>arguments = $ENV(HOME)' in page


def test_an_address_opens_the_form_as_it_was_filled(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    page = ada.post("/jobs/submit/check", filled(clouds, project, chosen='{"find.sh": 1}'))
    link = re.search(r'href="([^"]+)">Link that reopens this form', page)
    assert link
    opened = ada.get(unescape(link[1]))
    assert 'value="find.sh"' in opened
    assert "m101.fits,3.0" in opened
    assert 'value="3G"' in ada.get("/submit?way=form&memory=3G")
    hostile = ada.get("/jobs/submit?executable=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert(1)" not in hostile


def test_a_submit_of_old_is_submitted_again_with_its_files(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    ada.post("/jobs/submit", filled(clouds, project), files=PROGRAM)
    page = ada.get("/jobs/1/again")
    assert "queue field, threshold from (" in page
    assert "Taken over from the earlier submit:" in page
    text = ada.get("/jobs/1/file")
    form = {"image": str(clouds[0].images(project)[0].sha512), "flavor": "c2-2gb-10", "again": "1"}
    assert "2 waiting" in ada.post("/jobs/submit", {**form, "submit_text": text})
    assert ada.get("/jobs/2/file") == text
