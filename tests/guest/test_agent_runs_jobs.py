"""The agent runs jobs in their own scratch with what they were given, and brings their files back."""

from __future__ import annotations

import ast
from pathlib import Path

from agent_process import AgentProcess
from platform_double import IMAGE, PlatformDouble

import armillary.guest.agent
from armillary.accounts.certificates import Authority
from armillary.base.clock import SystemClock


def test_the_agent_is_for_python_3_9_and_imports_the_standard_library_and_itself_alone():
    import sys

    modules = sorted(Path(armillary.guest.agent.__path__[0]).glob("*.py"))
    assert modules
    for module in modules:
        tree = ast.parse(module.read_text(), feature_version=(3, 9))
        imported = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        others = {name for name in imported if not name.startswith("armillary.guest.agent")}
        assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names


def test_a_job_brings_back_its_streams_and_every_file_that_it_made(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job(
        'cat m51.txt > copy.txt; echo "args: $*"; echo oops >&2; exit 3',
        inputs={"data/m51.txt": b"a galaxy"},
        arguments=["two words", "x"],
    )
    agent.start()
    end = platform.end_of("1.0")
    assert (end["exit_code"], end["signal"], end["error"]) == (3, None, None)
    names = {entry["name"] for entry in end["outputs"]}
    assert names == {"copy.txt", "_condor_stdout", "_condor_stderr"}
    assert platform.output("1.0", "copy.txt") == b"a galaxy"
    assert platform.output("1.0", "_condor_stdout") == b"args: two words x\n"
    assert platform.output("1.0", "_condor_stderr") == b"oops\n"
    assert bytes(platform.logs["1.0", "stdout"]) == b"args: two words x\n"
    assert end["usage"]["wall_seconds"] >= 0
    assert platform.registrations[0]["image_sha512"] == IMAGE


def test_a_job_has_the_given_environment_and_none_of_the_agents(
    agent: AgentProcess, platform: PlatformDouble, monkeypatch
):
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "1")
    platform.put_job("env; pwd", environment={"COLOUR": "blue green"}, request_cpus=2)
    agent.start(vospace="vospace.example:8443")
    platform.end_of("1.0")
    lines = platform.output("1.0", "_condor_stdout").decode().splitlines()
    given = dict(line.split("=", 1) for line in lines[:-1])
    assert given["COLOUR"] == "blue green"
    assert given["_CONDOR_SCRATCH_DIR"] == lines[-1]
    assert given["VOSPACE_WEBSERVICE"] == "vospace.example:8443"
    assert given["OMP_NUM_THREADS"] == "2"
    assert "SECRET_OF_THE_AGENT" not in given


def test_a_job_finds_its_certificate_where_vcp_looks(agent: AgentProcess, platform: PlatformDouble):
    credential = {"certificate_pem": "PEM", "token": "t", "vospace": "vos.example", "owner": "vera"}
    platform.put_job(
        'cat "$HOME/.ssl/cadcproxy.pem"; stat -c %a "$HOME/.ssl/cadcproxy.pem"', credential=credential
    )
    agent.start()
    platform.end_of("1.0")
    assert platform.output("1.0", "_condor_stdout") == b"PEM600\n"


def test_a_renewed_certificate_reaches_the_running_job(agent: AgentProcess, platform: PlatformDouble):
    first = {"certificate_pem": "old", "token": "t", "vospace": "v", "owner": "vera"}
    platform.credentials = {"1.0": {**first, "certificate_pem": "new"}}
    platform.put_job('until grep new "$HOME/.ssl/cadcproxy.pem"; do sleep 0.05; done', credential=first)
    agent.start()
    assert platform.end_of("1.0")["exit_code"] == 0


def test_standard_input_comes_from_the_named_file(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("tr a-z A-Z", inputs={"in/words.txt": b"hello"}, input="in/words.txt")
    agent.start()
    platform.end_of("1.0")
    assert platform.output("1.0", "_condor_stdout") == b"HELLO"


def test_listed_outputs_come_back_alone_with_directories_as_trees(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job(
        "mkdir -p cats/deep; echo 1 > cats/a.cat; echo 2 > cats/deep/b.cat; echo 3 > junk; echo 4 > keep",
        transfer_output_files=["cats", "keep"],
    )
    agent.start()
    names = [entry["name"] for entry in platform.end_of("1.0")["outputs"]]
    assert sorted(names) == ["cats/a.cat", "cats/deep/b.cat", "keep"]


def test_transfer_output_files_of_dev_null_brings_nothing(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("echo x > big", transfer_output_files=["/dev/null"])
    agent.start()
    assert platform.end_of("1.0")["outputs"] == []


def test_a_missing_output_of_a_job_that_did_well_is_an_error_that_names_it(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("true", transfer_output_files=["m51.cat"])
    platform.put_job("exit 4", job="2.0", transfer_output_files=["m51.cat"])
    agent.start()
    error = platform.end_of("1.0")["error"]
    assert (error["code"], error["retry"]) == ("output_missing", False)
    assert "m51.cat" in error["message"]
    failed = platform.end_of("2.0")
    assert (failed["exit_code"], failed["error"]) == (4, None)


def test_an_output_that_links_out_of_the_scratch_is_not_read(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("ln -s /etc/passwd stolen; echo fine > mine")
    agent.start()
    assert [entry["name"] for entry in platform.end_of("1.0")["outputs"]] == ["mine"]


def test_inputs_of_a_directory_keep_their_place_in_it(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("cat sky/n/1.txt", inputs={"/home/vera/./sky/n/1.txt": b"north"})
    agent.start()
    platform.end_of("1.0")
    assert platform.output("1.0", "_condor_stdout") == b"north"


def test_an_input_may_not_leave_the_scratch(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("true", inputs={"x/./../../evil": b""})
    agent.start()
    assert "evil" in platform.end_of("1.0")["error"]["message"]


def test_a_program_that_is_not_there_is_an_error_that_names_it(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("", executable="/opt/no-such-program", transfer_executable=False)
    agent.start()
    assert "/opt/no-such-program" in platform.end_of("1.0")["error"]["message"]


def test_a_program_of_the_machine_runs_without_being_sent(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("", executable="echo", transfer_executable=False, arguments=["hi"])
    agent.start()
    platform.end_of("1.0")
    assert platform.output("1.0", "_condor_stdout") == b"hi\n"


def test_as_many_jobs_run_at_once_as_there_are_cpus(agent: AgentProcess, platform: PlatformDouble):
    meet = "touch {mine}; until [ -e {other} ]; do sleep 0.02; done"
    for number, other in ((0, 1), (1, 0)):
        mine, theirs = agent.directory / f"m{number}", agent.directory / f"m{other}"
        platform.put_job(meet.format(mine=mine, other=theirs), job=f"1.{number}")
    agent.start()
    assert platform.end_of("1.0")["exit_code"] == platform.end_of("1.1")["exit_code"] == 0


def test_nothing_is_left_of_a_finished_job_not_even_a_process_that_ran_away(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("setsid sleep 1000 >/dev/null 2>&1 & echo $!")
    agent.start()
    platform.end_of("1.0")
    platform.retire = True
    assert agent.wait()[0] == 0
    assert platform.byes == 1
    assert list(agent.scratch.iterdir()) == []
    assert list(agent.state.glob("finish-*")) == []
    marker = str(agent.scratch).encode()
    assert not [p for p in Path("/proc").glob("[0-9]*") if marker in _environment_of(p)]


def _environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def test_it_speaks_https_with_the_given_authority_alone(tmp_path: Path):
    authority = Authority(directory=tmp_path / "ca", clock=SystemClock())
    platform = PlatformDouble(certificate=authority.server_certificate(["127.0.0.1"]))
    platform.put_job("echo safe")
    agent = AgentProcess(directory=tmp_path, platform=platform)
    (tmp_path / "ca.pem").write_bytes(authority.ca_pem)
    try:
        agent.start(ca_file=str(tmp_path / "ca.pem"))
        platform.end_of("1.0")
        assert platform.output("1.0", "_condor_stdout") == b"safe\n"
    finally:
        agent.kill()
        platform.close()
