"""Submit files are read as their authors mean them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from armillary.client.submitfile import JobSpec, LocalAccess, NoAccess, Submission, SubmitError, read_submit

EXAMPLES = Path(__file__).parents[1] / "data" / "submit"


def read(text: str, *, base: Path = EXAMPLES, allow_commands: bool = False) -> Submission:
    return read_submit(text, access=LocalAccess(base=base, allow_commands=allow_commands))


def example(name: str) -> Submission:
    return read((EXAMPLES / name).read_text())


def one(text: str, **options: bool) -> JobSpec:
    (job,) = read("executable = do_catalogue.bash\n" + text + "\nqueue\n", **options).jobs
    return job


def refusal(text: str, **options: bool) -> SubmitError:
    with pytest.raises(SubmitError) as caught:
        read(text, **options)
    return caught.value


def test_a_variable_of_the_queue_statement_may_be_the_arguments_themselves():
    submission = example("do_catalogue.sub")
    assert [job.arguments for job in submission.jobs] == [
        ["1056215p"],
        ["1056216p"],
        ["1056217p"],
        ["1056218p"],
    ]
    assert submission.jobs[1].output == "do_catalogue-1056216p.out"
    assert submission.jobs[3].log == "do_catalogue-1056218p.log"
    assert [job.proc for job in submission.jobs] == [0, 1, 2, 3]
    assert submission.warnings == []


def test_each_of_several_queue_statements_sees_the_macros_up_to_it():
    submission = example("several_queues.sub")
    assert [(job.proc, job.arguments, job.output) for job in submission.jobs] == [
        (0, ["1056215p"], "1056215p.out"),
        (1, ["1056216p"], "1056216p.out"),
        (2, ["1056217p"], "1056217p.out"),
    ]
    assert {tuple(job.environment.items()) for job in submission.jobs} == {(("HOME", "/home/vera"),)}
    assert submission.jobs[0].transfer_output_files == []
    assert submission.warnings == []


def test_requests_carry_units():
    (job,) = example("one_tile.sub").jobs
    assert (job.request_cpus, job.request_memory_mib, job.request_disk_kib) == (1, 8192, 10 * 1024 * 1024)


def test_numbered_runs_with_inputs_outputs_and_remaps():
    submission = example("simulations.sub")
    job = submission.jobs[7]
    assert len(submission.jobs) == 10
    assert job.arguments == ["--seed", "0007", "--name", "run 7"]
    assert job.output == "run.$(Cluster).7.out"
    assert job.transfer_input_files == [
        "list.txt",
        "././tables/a.txt",
        "././tables/deep/b.txt",
    ]
    assert job.transfer_output_remaps == {"result.fits": "result-7.fits"}
    assert (job.request_cpus, job.request_memory_mib, job.request_disk_kib) == (2, 1500, 2 * 1024 * 1024)
    assert (job.max_retries, submission.batch_name) == (2, "simulations")
    assert submission.sources["././tables/deep/b.txt"] == "tables/deep/b.txt"
    assert job.iwd == str(EXAMPLES)


def test_items_from_a_file_fill_several_variables():
    jobs = example("from_a_file.sub").jobs
    assert [job.arguments for job in jobs] == [["m51.fits", "1.5"], ["m51.fits", "3"], ["gmos.fits", "5"]]
    assert [job.output for job in jobs] == ["m51-1.5.out", "m51-3.out", "gmos-5.out"]
    assert [job.transfer_input_files for job in jobs] == [["m51.fits"], ["m51.fits"], ["gmos.fits"]]


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("queue", [""]),
        ("queue 2", ["", ""]),
        ("queue $(n)", ["", "", ""]),
        ("queue x in (a b, c)", ["a", "b", "c"]),
        ("queue x in (\n a b\n c\n)", ["a", "b", "c"]),
        ("queue 2 x in (a b)", ["a", "a", "b", "b"]),
        ("queue x from (\n a b\n # no item\n c\n)", ["a b", "c"]),
        ("queue x in [1:] (a b c)", ["b", "c"]),
        ("queue x in [1] (a b c)", ["b", "c"]),
        ("queue 1+1", ["", ""]),
        ("queue x from [::2] (\n a\n b\n c\n)", ["a", "c"]),
        ("queue x matching files *.fits", ["gmos.fits", "m51.fits"]),
        ("queue x matching dirs *", ["tables/"]),
        ("queue x matching (m*.fits do_*.bash)", ["m51.fits", "do_catalogue.bash"]),
    ],
)
def test_the_forms_of_queue(queue: str, expected: list[str]):
    jobs = read(f"executable = do_catalogue.bash\nn = 3\nx =\nlog = $(x)\n{queue}\n").jobs
    assert [job.log or "" for job in jobs] == expected


def test_step_row_and_item_index_count_as_in_htcondor():
    text = "executable = do_catalogue.bash\noutput = $(Step)-$(Row)-$(ItemIndex)-$(Item)\nqueue 2 in [1:] (a b c)\n"
    assert [job.output for job in read(text).jobs] == ["0-1-1-b", "1-1-1-b", "0-2-2-c", "1-2-2-c"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("one two  three", ["one", "two", "three"]),
        (r"say \"hello\"", ["say", '"hello"']),
        ("\"one 'two words' 'it''s' \"\"x\"\"\"", ["one", "two words", "it's", '"x"']),
        ("\"-n '' end\"", ["-n", "", "end"]),
        ('""', []),
    ],
)
def test_arguments_in_both_syntaxes(arguments: str, expected: list[str]):
    assert one(f"arguments = {arguments}").arguments == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("A=1;B=two words", {"A": "1", "B": "two words"}),
        ('"A=1 B=\'two words\' C=""q"""', {"A": "1", "B": "two words", "C": '"q"'}),
    ],
)
def test_environment_in_both_syntaxes(environment: str, expected: dict[str, str]):
    assert one(f"environment = {environment}").environment == expected


def test_getenv_takes_the_named_variables_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GALAXY", "m51")
    monkeypatch.setenv("GALAXY_SECRET", "x")
    assert one("getenv = GALAXY").environment == {"GALAXY": "m51"}


def test_an_initial_directory_holds_the_inputs_and_receives_the_outputs(tmp_path: Path):
    (tmp_path / "run.sh").write_text("true")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.ini").write_text(name)
    text = "executable = run.sh\ntransfer_input_files = config.ini\ninitialdir = $(d)\nqueue d in (a b)\n"
    submission = read(text, base=tmp_path)
    assert [job.transfer_input_files for job in submission.jobs] == [["a/config.ini"], ["b/config.ini"]]
    assert [job.iwd for job in submission.jobs] == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_addresses_are_left_to_the_worker():
    job = one("transfer_input_files = vos:vera/m51.fits, https://example.org/x.fits, m51.fits")
    assert job.transfer_input_files == ["vos:vera/m51.fits", "https://example.org/x.fits", "m51.fits"]
    assert job.input_keys == ["do_catalogue.bash", "m51.fits"]


def test_if_else_defaults_functions_continuations_and_blocks():
    text = (
        "if defined nothing\noutput = a\nelse\noutput = b\nendif\n"
        "log = $(nothing:fallback)-\\\n  $Fn(where)\nwhere = /data/m51.fits\n"
        "arguments @=end\n one\n two\n@end\n"
    )
    job = one(text)
    assert (job.output, job.log, job.arguments) == ("b", "fallback-m51", ["one", "two"])


def test_an_include_is_read_in_place(tmp_path: Path):
    (tmp_path / "common.sub").write_text("executable = run.sh\nrequest_cpus = 3\n")
    (tmp_path / "run.sh").write_text("")
    (job,) = read("include : common.sub\nqueue", base=tmp_path).jobs
    assert job.request_cpus == 3


def test_ten_thousand_jobs_are_read_in_a_moment():
    text = "executable = do_catalogue.bash\narguments = $(Process)\noutput = o.$(Process)\nqueue 10000\n"
    jobs = read(text).jobs
    assert jobs[9999].arguments == ["9999"]


# --- refusals: each names the line and a remedy


def test_an_unknown_macro_is_refused_where_htcondor_puts_nothing():
    error = refusal("executable = do_catalogue.bash\n\narguments = $(oops)\nqueue\n")
    assert (error.code, error.facts["line"]) == ("unknown_macro", 3)
    assert "$(oops)" in error.message


def test_a_circle_of_macros_is_refused_where_htcondor_never_returns():
    error = refusal("executable = do_catalogue.bash\na = $(b)\nb = $(a)\narguments = $(a)\nqueue\n")
    assert error.code == "macro_circle"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("request_memory = lots", "not_a_size", 2),
        ("request_disk = 5 * X", "not_a_size", 2),
        ("request_cpus = 0", "submit_file", 2),
        ("getenv = True", "getenv", 2),
        ("universe = grid", "universe", 2),
        ("universe = java", "universe", 2),
        ("universe = docker", "universe", 2),
        ("request_gpus = some", "submit_file", 2),
        ("this is nonsense", "submit_file", 2),
        ("if $(N) > 2\nendif", "submit_file", 2),
        ("\nif true", "submit_file", 4),
        ("arguments = $$(Arch)", "submit_file", 2),
        ("arguments = $ENV(NO_SUCH_VARIABLE_HERE)", "submit_file", 2),
        ("transfer_input_files = not-there.fits", "submit_file", 2),
        ('arguments = "\'open"', "submit_file", 2),
        ("output_destination = https://example.org", "not_supported", 2),
        ("include : ls |", "command_not_allowed", 2),
        ("include command : ls", "command_not_allowed", 2),
        ('transfer_output_remaps = "a = https://example.org/a"', "submit_file", 2),
        ("transfer_input_files = $(Cluster).fits", "submit_file", 2),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_line(text: str, code: str, line: int):
    error = refusal(f"executable = do_catalogue.bash\n{text}\nqueue\n")
    assert (error.code, error.facts["line"]) == (code, line)


@pytest.mark.parametrize(
    "queue",
    [
        "queue x from (\n a\n\n b\n)",
        "queue some thing",
        "queue x from (\n a\n",
        "queue x from ls |",
        "queue x in",
    ],
)
def test_a_queue_statement_that_would_surprise_is_refused(queue: str):
    refusal(f"executable = do_catalogue.bash\n{queue}\n")


def test_a_file_without_queue_or_executable_is_refused():
    assert "queue" in refusal("executable = do_catalogue.bash\n").message
    assert "executable" in refusal("arguments = 1\nqueue\n").message


def test_commands_run_when_they_are_allowed():
    text = "executable = do_catalogue.bash\narguments = $(x)\nqueue x from printf 'a\\nb\\n' |\n"
    assert [job.arguments for job in read(text, allow_commands=True).jobs] == [["a"], ["b"]]


def test_what_has_no_effect_is_said_once():
    text = 'executable = do_catalogue.bash\nrequirements = TARGET.HasDocker\n+VMType = "x"\nargumens = 1\nqueue 3\n'
    notes = [str(note) for note in read(text).warnings]
    assert len(notes) == 3
    assert notes[0].startswith("line 2: requirements looks at hasdocker, which no worker here has")
    assert "did you mean arguments" in notes[2]


# --- away from the user's machine


def test_away_from_the_users_machine_nothing_but_the_given_files_is_touched():
    def refused(text: str) -> str:
        with pytest.raises(SubmitError) as caught:
            read_submit(text, access=NoAccess(files=["run.sh"]))
        return caught.value.code

    (job,) = read_submit("executable = run.sh\nqueue\n", access=NoAccess(files=["run.sh"])).jobs
    assert job.executable == "run.sh"
    assert refused("executable = run.sh\narguments = $ENV(HOME)\nqueue\n") == "needs_your_machine"
    assert refused("executable = run.sh\nqueue x from /etc/passwd\n") == "needs_your_machine"
    assert refused("executable = run.sh\nqueue x from ls |\n") == "needs_your_machine"
    assert refused("include : /etc/passwd\nexecutable = run.sh\nqueue\n") == "needs_your_machine"
    assert refused("executable = run.sh\ngetenv = HOME\nqueue\n") == "needs_your_machine"
    assert stat.S_ISREG(Path("/etc/passwd").stat().st_mode)


@pytest.mark.parametrize(
    "text",
    [
        "x = $ENV\narguments = $(x)(HOME)",
        "d = $\narguments = $(d)ENV(HOME)",
        "d = $(DOLLAR)\narguments = $(d)ENV(HOME)",
        "x = $(DOLLAR)ENV\narguments = $SUBSTR(x,0)(HOME)",
        "arguments = $(nope:$ENV(HOME))",
        "e =\narguments = $ENV$(e)(HOME)",
        "d = $\na = $(d)(a)\narguments = $(a)",
        "if defined $ENV(HOME)\nendif",
        "x = $(x)$ENV(HOME)",
    ],
)
def test_nothing_reaches_the_environment_of_a_server_even_in_composition(text: str):
    with pytest.raises(SubmitError):
        read_submit(f"executable = run.sh\n{text}\nqueue\n", access=NoAccess(files=["run.sh"]))


def test_items_cannot_smuggle_macros_in_where_the_file_is_not_trusted():
    text = "executable = run.sh\narguments = $(x)(HOME)\nqueue x from (\n$ENV\n)\n"
    with pytest.raises(SubmitError):
        read_submit(text, access=NoAccess(files=["run.sh"]))


@pytest.mark.parametrize("text", ["d = $\na = $(d)(a)\narguments = $(a)", "x = $ENV\narguments = $(x)(HOME)"])
def test_a_loose_dollar_that_would_become_a_macro_is_refused(text: str):
    assert refusal(f"executable = do_catalogue.bash\n{text}\nqueue\n").code == "loose_dollar"


def test_a_dollar_that_becomes_nothing_is_left_alone():
    assert one("arguments = ^m51$ price$5 $(DOLLAR)x").arguments == ["^m51$", "price$5", "$x"]
