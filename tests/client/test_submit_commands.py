"""Every command of HTCondor's manual has one place in the tables, and is met as they say."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import pytest

from armillary.client.submitfile import LocalAccess, NoAccess, Submission, SubmitError, commands, read_submit

CORPUS = Path(__file__).parent / "submit_corpus"
MANUAL = (Path(__file__).parents[1] / "data" / "submit" / "commands_of_the_manual.txt").read_text().split()
"""The commands of HTCondor 25's manual."""
TABLES = [commands.HONOURED, commands.WITHOUT_EFFECT, commands.NOT_HONOURED, commands.REFUSED]


def read(text: str) -> Submission:
    return read_submit(f"executable = run.sh\n{text}\nqueue\n", access=LocalAccess(base=CORPUS))


def test_every_command_of_the_manual_has_a_place():
    homeless = [n for n in MANUAL if not commands.known(commands.canonical(n)) and not commands.refusal(n)]
    assert homeless == []


def test_no_command_has_two_places():
    assert all(not set(one) & set(other) for one, other in combinations(TABLES, 2))
    assert all(commands.known(name) for name in commands.ALIASES.values())


@pytest.mark.parametrize("name", sorted(commands.NOT_HONOURED))
def test_what_is_not_honoured_is_said_with_its_line(name: str):
    (note,) = read(f"{name} = 1").warnings
    assert str(note) == f"line 2: {name} has no effect: {commands.NOT_HONOURED[name]}"


@pytest.mark.parametrize("name", sorted(commands.WITHOUT_EFFECT))
def test_what_asks_for_what_happens_anyway_is_taken_without_a_word(name: str):
    assert read(f"{name} = 1").warnings == []


@pytest.mark.parametrize(
    "name", sorted([*commands.REFUSED, "ec2_ami_id", "docker_image", "vm_memory", "request_fpgas"])
)
def test_what_cannot_be_is_refused_with_its_line(name: str):
    with pytest.raises(SubmitError) as caught:
        read(f"{name} = 1")
    assert (caught.value.code, caught.value.facts["line"]) == ("not_supported", 2)
    assert name in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reqirements = true", "did you mean requirements?"),
        ("transfer_input_file = a.txt", "did you mean transfer_input_files?"),
        ("request_memory = ifThenElse(MemoryUsage =!= undefined, MemoryUsage * 2, 1024)", "worked out once"),
        ("requirements = HasDocker", "looks at hasdocker"),
        ("should_transfer_files = no", "no file system"),
        ('+target_alias = "east"', "+target_alias has no effect"),
        ("warning : old file", "old file"),
    ],
)
def test_what_may_surprise_is_said(text: str, words: str):
    (note,) = read(text).warnings
    assert words in str(note)
    assert note.line == 2


def test_a_variable_that_sounds_secret_is_pointed_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GALAXY_TOKEN", "x")
    (note,) = read("getenv = GALAXY*").warnings
    assert "GALAXY_TOKEN" in str(note)


def test_a_macro_that_is_used_in_any_way_is_no_slip():
    text = "n = 2\nfile_0 = a\nfmt = %03d\nlist = a,b\nif defined deep\nendif\ndeep = 1\n"
    text += "arguments = $(file_$(Process)) $CHOICE(Process,list) $(fmt)\nqueue $(n) x in [:1] (a b)"
    assert (
        read_submit(f"executable = run.sh\nfile_1 = b\n{text}\n", access=LocalAccess(base=CORPUS)).warnings
        == []
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("requirements = (Cpus > 2", "not_an_expression"),
        ("+Object = two words", "not_an_expression"),
        ("periodic_hold = JobStatus = 2", "not_an_expression"),
        ("on_exit_hold = ExitCode == 99999999999999999999", "not_an_expression"),
        ("allowed_execute_duration = an hour", "submit_file"),
        ("kill_sig = SIGNONE", "submit_file"),
        ("concurrency_limits = a:b", "submit_file"),
        ("when_to_transfer_output = SOMETIMES", "submit_file"),
        ("notification = start", "submit_file"),
        ("success_exit_code = 300", "submit_file"),
        ("retry_request_memory = 1MB", "submit_file"),
        ("stream_output = maybe", "submit_file"),
        ("output = vos:vera/out.txt", "submit_file"),
    ],
)
def test_a_value_that_is_none_names_its_line(text: str, code: str):
    with pytest.raises(SubmitError) as caught:
        read(text)
    assert (caught.value.code, caught.value.facts["line"]) == (code, 2)


def test_what_is_one_for_all_jobs_cannot_vary():
    text = "executable = run.sh\naccounting_group = a\nqueue\naccounting_group = b\nqueue\n"
    with pytest.raises(SubmitError) as caught:
        read_submit(text, access=LocalAccess(base=CORPUS))
    assert "one for all jobs" in caught.value.message


def test_where_the_library_does_not_run_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "htcondor2", None)  # as an import of what is not there
    with pytest.raises(SubmitError) as caught:
        read_submit("executable = run.sh\nqueue\n", access=NoAccess(files=["run.sh"]))
    assert caught.value.code == "no_htcondor"
    assert "Linux" in caught.value.remedy
