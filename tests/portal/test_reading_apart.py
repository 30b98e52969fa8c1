"""Submit files of others are read in a process that has nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.base.errors import Invalid
from armillary.portal.reading import read_apart

HEAD = "executable = run.sh\n"


def refusal(text: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_apart(text, names=["run.sh"])
    return caught.value


def test_jobs_come_back_as_they_were_read():
    text = (
        HEAD + 'arguments = $(Process)\n+Object = "m51"\nmax_idle = 3\nmax_retries = 1\nnice_user = true\n'
        "on_exit_hold = ExitCode == 3\nqueue 3\n"
    )
    submission = read_apart(text, names=["run.sh"])
    assert [job.arguments for job in submission.jobs] == [["0"], ["1"], ["2"]]
    assert submission.jobs[2].attributes == {"Object": '"m51"'}
    assert submission.jobs[2].policy == {"on_exit_hold": "ExitCode == 3"}
    assert (submission.max_idle, submission.jobs[1].max_retries) == (3, 1)
    assert [note.line for note in submission.warnings] == [6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("include : /etc/passwd\nqueue", "reading /etc/passwd"),
        ("include : touch {mark} |\nqueue", "running a command"),
        ("include command : touch {mark}\nqueue", "running a command"),
        ("include ifexist : /etc/passwd\nqueue", "reading /etc/passwd"),
        ("queue x from touch {mark} |", "running a command"),
        ("queue x from /etc/passwd", "reading /etc/passwd"),
        ("queue x matching dirs /*", "matching directories"),
        ("arguments = $ENV(HOME)\nqueue", "$ENV(HOME)"),
        ("x = $(y)\ny = $ENV(HOME)\narguments = $(x)\nqueue", "$ENV(HOME)"),
        ("getenv = HOME\nqueue", "getenv"),
    ],
)
def test_what_would_run_or_read_something_is_refused_in_a_sentence(text: str, words: str, tmp_path: Path):
    mark = tmp_path / "mark"
    error = refusal(HEAD + text.format(mark=mark) + "\n")
    assert (error.code, words in error.message) == ("needs_your_machine", True)
    assert "armillary command on your own machine" in error.remedy
    assert not mark.exists()


@pytest.mark.parametrize(
    "text", ["include = touch {mark} |\nqueue", "use @=e\n a\n@e\nqueue", "queue = 3\nqueue"]
)
def test_a_statement_in_the_clothes_of_a_macro_is_refused(text: str, tmp_path: Path):
    mark = tmp_path / "mark"
    assert "cannot be the name of a macro" in refusal(HEAD + text.format(mark=mark)).message
    assert not mark.exists()


def test_a_file_that_matches_nothing_on_this_side_sees_the_uploaded_names_alone():
    submission = read_apart(
        HEAD + "arguments = $(f)\nqueue f matching files *.fits\n", names=["run.sh", "a.fits"]
    )
    assert [job.arguments for job in submission.jobs] == [["a.fits"]]


def test_refusals_keep_their_line_and_remedy():
    error = refusal(HEAD + "request_memory = lots\nqueue\n")
    assert (error.code, error.facts["line"]) == ("not_a_size", 2)
    assert refusal(HEAD + "input = b.txt\nqueue\n").code == "missing_input"
