"""The HTCondor engine over a real pool, beyond what every engine promises: files, policies, lost replies, crashes.

One machine, which joined by our user data and which nobody can connect to, runs the jobs of all these tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from armillary.app.database import make_engine
from armillary.base.errors import Unavailable
from armillary.base.ids import ClusterId, PersonId, Sha512, WorkerId
from armillary.batch.model import Group, InputFile, JobId, JobSpec, JobState, Resources, Selection, Submission
from armillary.batch.store.records import Records
from condor_bench import CondorBench, condor_bench
from htcondor_pool import Pool

pytestmark = pytest.mark.engines

SMALL = Resources(cpus=1, memory_mib=256, disk_kib=1024)
REPORT = b"""#!/bin/sh
echo "$@"; cat catalogue.txt; echo careful >&2
echo "$BAND" > band.txt; cat > given.txt
exit 3
"""


@pytest.fixture(scope="module")
def bench(htcondor_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CondorBench]:
    folder = tmp_path_factory.mktemp("condor")
    database = make_engine(f"sqlite:///{folder}/records.db", durable=False)
    with condor_bench(database, htcondor_pool, folder) as made:
        made.worker_comes("w1")
        yield made
    database.dispose()


def submit(
    bench: CondorBench, *specs: Mapping[str, Any], group: Group | None = None, **job: Any
) -> ClusterId:
    """Queue jobs; the files of a spec, by their names, are in its `files`."""
    jobs = []
    for n, spec in enumerate(specs):
        said = {key: value for key, value in spec.items() if key != "files"}
        inputs = tuple(kept(bench, path, data) for path, data in spec.get("files", {}).items())
        jobs.append(JobSpec(proc=n, resources=SMALL, data=said, inputs=inputs, **job))
    return bench.engine.submit(
        Submission(
            group=group or bench.group,
            owner=PersonId("o" * 32),
            owner_name="ada",
            project_name="galaxies & more",
            image_name="my-snapshot",
            batch_name="a batch",
            submit_text="",
            jobs=tuple(jobs),
        )
    )


def kept(bench: CondorBench, path: str, data: bytes) -> InputFile:
    with bench.spool.writer() as writer:
        writer.write(data)
        blob = writer.commit()
    return InputFile(
        path=path, sha256=blob.sha256, size=blob.size, mode=0o755 if path.endswith(".sh") else 0o644
    )


def comes_to(bench: CondorBench, job: str, state: JobState) -> Any:
    """Wait until the job is in a state; returns its record."""
    bench.until(lambda: bench.state(job) in {state, JobState.HELD})
    detail = records(bench, job)
    assert bench.state(job) is state, detail.view.reason
    return detail


def records(bench: CondorBench, job: str) -> Any:
    return Records(database=bench.database).job(None, JobId.parse(job))


def script(text: str, **spec: Any) -> dict[str, Any]:
    return {"executable": "run.sh", "files": {"run.sh": f"#!/bin/sh\n{text}\n".encode()}, **spec}


def test_files_go_out_and_come_home_by_their_names(bench: CondorBench) -> None:
    spec = {
        "executable": "bin/report.sh",
        "arguments": ["two words", "$(NotAMacro)", "it's", 'a "quote"', "$$(ArmillaryWorker)", "a $$ b$"],
        "environment": {"BAND": "r 'and' \"i\""},
        "input": "given",
        "transfer_input_files": ["data/catalogue.txt"],
        "files": {
            "bin/report.sh": REPORT,
            "given": b"from standard input\n",
            "data/catalogue.txt": b"m31\n",
        },
    }
    job = f"{submit(bench, spec)}.0"
    detail = comes_to(bench, job, JobState.COMPLETED)
    brought = {out.name: bench.spool.path(out.sha256).read_bytes() for out in detail.outputs}
    assert brought == {
        "_condor_stdout": b'two words $(NotAMacro) it\'s a "quote" w1 a $$ b$\nm31\n',
        "_condor_stderr": b"careful\n",
        "band.txt": b"r 'and' \"i\"\n",
        "given.txt": b"from standard input\n",
    }
    assert (detail.view.exit_code, detail.view.reason, detail.view.worker) == (3, "exit code 3", "w1")
    assert bench.logs.read(JobId.parse(job), 1, "stderr", offset=0).data == b"careful\n"
    assert detail.attempt_list[0].usage["wall_seconds"] >= 0
    assert [attempt.state for attempt in detail.attempt_list] == ["finished"]


def test_the_schedd_forgets_what_is_home(bench: CondorBench) -> None:
    job = f"{submit(bench, script('exit 0'))}.0"
    comes_to(bench, job, JobState.COMPLETED)
    bench.until(lambda: not bench.in_the_schedd(job))


def test_a_machine_takes_no_jobs_of_another_image(bench: CondorBench) -> None:
    """The other job came first, so that it had its chance."""
    other = Group(bench.group.project, Sha512("f" * 128), bench.group.flavor)
    stranger = f"{submit(bench, script('exit 0'), group=other)}.0"
    mine = f"{submit(bench, script('exit 0'))}.0"
    comes_to(bench, mine, JobState.COMPLETED)
    assert bench.state(stranger) is JobState.IDLE
    assert [demand.group for demand in bench.engine.demand()] == [other]
    bench.engine.remove(Selection(cluster=JobId.parse(stranger).cluster), reason="")
    bench.until(lambda: not bench.in_the_schedd(stranger))


def test_a_program_that_fails_is_tried_again_by_the_pool(bench: CondorBench) -> None:
    job = f"{submit(bench, bench.spec(0), max_retries=1)}.0"
    bench.until(lambda: bench.state(job) is JobState.RUNNING)
    bench.end(job, 7)  # the second attempt too, at once
    detail = comes_to(bench, job, JobState.COMPLETED)
    assert [attempt.exit_code for attempt in detail.attempt_list] == [7, 7]
    assert (detail.retried, detail.committed_attempt) == (1, 2)


def test_a_policys_hold_has_its_reason_and_numbers(bench: CondorBench) -> None:
    policy = {
        "on_exit_hold": "ExitCode == 9",
        "on_exit_hold_reason": '"looks odd"',
        "on_exit_hold_subcode": "42",
    }
    cluster = submit(bench, script("exit 9", policy=policy))
    view = comes_to(bench, f"{cluster}.0", JobState.HELD).view
    assert (view.hold_code, view.reason) == ("policy_hold", "looks odd")
    assert bench.engine.remove(Selection(cluster=cluster), reason="") == 1
    bench.until(lambda: not bench.in_the_schedd(f"{cluster}.0"))


def test_what_the_schedd_does_not_take_is_held_and_says_why(bench: CondorBench) -> None:
    cluster = submit(bench, script("exit 0", requirements="((("))
    view = comes_to(bench, f"{cluster}.0", JobState.HELD).view
    assert view.hold_code == "job_invalid"
    assert "HTCondor does not take it" in view.reason


def test_what_the_schedd_does_not_take_keeps_nothing_else_of_its_submit_back(bench: CondorBench) -> None:
    cluster = submit(bench, script("exit 0"), script("exit 0", rank="((("), script("exit 0", rank="Memory"))
    assert comes_to(bench, f"{cluster}.1", JobState.HELD).view.hold_code == "job_invalid"
    for proc in (0, 2):
        assert comes_to(bench, f"{cluster}.{proc}", JobState.COMPLETED).view.succeeded


def test_a_program_that_is_not_there_is_a_hold_with_its_reason(bench: CondorBench) -> None:
    cluster = submit(bench, {"executable": "/nowhere/at/all", "transfer_executable": False})
    view = comes_to(bench, f"{cluster}.0", JobState.HELD).view
    assert view.hold_code == "executable_missing"
    bench.engine.remove(Selection(cluster=cluster), reason="")


class Deaf:
    """A pool whose replies to submits are lost."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def submit(self, shared: Mapping[str, str], each: Sequence[Mapping[str, str]]) -> tuple[int, int]:
        self._pool.submit(shared, each)
        raise Unavailable("the reply was lost", code="htcondor_unavailable")

    def ping(self) -> Any:
        raise Unavailable("nobody is there", code="htcondor_unavailable")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def test_a_submit_whose_reply_was_lost_is_not_made_twice(bench: CondorBench) -> None:
    deaf = bench.make(Deaf(bench.door))
    cluster = submit(bench, script("exit 0"), script("exit 0", arguments=["2"]))
    with pytest.raises(Unavailable):
        deaf.tick()
    for proc in (0, 1):
        detail = comes_to(bench, f"{cluster}.{proc}", JobState.COMPLETED)
        assert detail.view.attempts == 1
    said = [event.state.value for event in bench.engine.changes(after=0, cluster=cluster, limit=100)]
    assert said.count("completed") == 2


def test_another_process_goes_on_where_one_was_killed(bench: CondorBench) -> None:
    cluster = submit(bench, bench.spec(0))
    bench.until(lambda: bench.state(f"{cluster}.0") is JobState.RUNNING)
    bench.end(f"{cluster}.0", 0)
    bench.engine = bench.make()
    detail = comes_to(bench, f"{cluster}.0", JobState.COMPLETED)
    assert (detail.view.exit_code, detail.view.attempts) == (0, 1)


def test_a_job_outlives_its_schedd(bench: CondorBench, htcondor_pool: Pool) -> None:
    """HTCondor's own promise: the machine goes on, and a new shadow finds it."""
    cluster = submit(bench, bench.spec(0))
    bench.until(lambda: bench.state(f"{cluster}.0") is JobState.RUNNING)
    killed = htcondor_pool.run(
        "sh", "-c", "kill -9 $(cat /proc/[0-9]*/stat | awk '$2 == \"(condor_schedd)\" {print $1}')"
    )
    assert killed.returncode == 0, killed.stderr
    bench.end(f"{cluster}.0", 5)
    bench.until(lambda: bench.state(f"{cluster}.0") is JobState.COMPLETED, away=True)
    detail = records(bench, f"{cluster}.0")
    assert (detail.view.exit_code, detail.view.attempts) == (5, 1)


def test_a_priority_reaches_the_schedd(bench: CondorBench) -> None:
    other = Group(bench.group.project, Sha512("e" * 128), bench.group.flavor)
    cluster = submit(bench, script("exit 0"), group=other)
    bench.until(lambda: bool(bench.in_the_schedd(f"{cluster}.0")))
    assert bench.engine.prioritize(Selection(cluster=cluster), 7) == 1
    bench.until(lambda: bench.in_the_schedd(f"{cluster}.0")[0]["JobPrio"] == 7)
    bench.engine.remove(Selection(cluster=cluster), reason="")


def test_a_job_removed_behind_our_back_is_removed(bench: CondorBench) -> None:
    other = Group(bench.group.project, Sha512("d" * 128), bench.group.flavor)
    cluster = submit(bench, script("exit 0"), group=other)
    bench.until(lambda: bool(bench.in_the_schedd(f"{cluster}.0")))
    (ad,) = bench.in_the_schedd(f"{cluster}.0")
    bench.door.act("Remove", [f"{ad['ClusterId']}.{ad['ProcId']}"], "by the pool's administrator")
    view = comes_to(bench, f"{cluster}.0", JobState.REMOVED).view
    assert "by the pool's administrator" in view.reason


def test_a_job_that_is_retried_while_the_schedd_removes_it_is_sent_again(bench: CondorBench) -> None:
    other = Group(bench.group.project, Sha512("c" * 128), bench.group.flavor)
    cluster = submit(bench, script("exit 0"), group=other)
    bench.until(lambda: bool(bench.in_the_schedd(f"{cluster}.0")))
    (first,) = bench.in_the_schedd(f"{cluster}.0")
    bench.engine.remove(Selection(cluster=cluster), reason="")
    bench.engine.tick()  # the schedd is told, and has not answered
    assert bench.engine.retry(Selection(cluster=cluster)) == 1
    bench.until(
        lambda: (
            [ad["ClusterId"] != first["ClusterId"] for ad in bench.in_the_schedd(f"{cluster}.0")] == [True]
        )
    )
    assert bench.state(f"{cluster}.0") is JobState.IDLE
    bench.engine.remove(Selection(cluster=cluster), reason="")


def test_the_newest_htcondor_does_the_same(htcondor_25_pool: Pool, tmp_path: Path) -> None:
    """Its own code for tokens, spooling and draining has changed since 23.9."""
    database = make_engine(f"sqlite:///{tmp_path}/records.db", durable=False)
    with condor_bench(database, htcondor_25_pool, tmp_path) as bench:
        bench.worker_comes("w1")
        cluster = submit(bench, script("echo said; echo made > file; exit 4"), bench.spec(1))
        detail = comes_to(bench, f"{cluster}.0", JobState.COMPLETED)
        assert {out.name for out in detail.outputs} == {"_condor_stdout", "file"}
        assert detail.view.exit_code == 4
        bench.until(lambda: bench.state(f"{cluster}.1") is JobState.RUNNING)
        bench.engine.drain(WorkerId("w1"))
        assert bench.engine.hold(Selection(cluster=cluster), reason="enough") == 1
        bench.until(lambda: not bench.engine.workers()[0].jobs)
        assert bench.engine.release(Selection(cluster=cluster)) == 1
        assert bench.told_to_go("w1")
        assert bench.engine.lost(WorkerId("w1"), "its server is gone") == 0
        assert bench.engine.workers() == []
    database.dispose()


DAG = """\
JOB first first.sub
JOB second second.sub
PARENT first CHILD second
"""
STEP = """\
executable = {program}
arguments = {arguments}
transfer_executable = false
+ArmillaryImage = "{group.image}"
+ArmillaryProject = "{group.project}"
+ArmillaryFlavor = "{group.flavor}"
queue
"""


def test_dagman_runs_jobs_on_our_machines(bench: CondorBench, htcondor_pool: Pool) -> None:
    """A user of the pool writes the workflow, and marks the jobs for the image."""
    folder = htcondor_pool.bench / "dag"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    steps = {"first": "-c 'echo 1 > /bench/dag/mark'", "second": "-c 'test -s /bench/dag/mark'"}
    (folder / "mark").touch()
    (folder / "mark").chmod(0o666)
    for name, what in steps.items():
        arguments = '"' + what + '"'
        step = STEP.format(program="/bin/sh", arguments=arguments, group=bench.group)
        (folder / f"{name}.sub").write_text(step + "")
    (folder / "flow.dag").write_text(DAG)
    command = ["runuser", "-u", "armillary", "--", "sh", "-c", "cd /bench/dag && condor_submit_dag flow.dag"]
    asked = htcondor_pool.run(*command)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    log = folder / "flow.dag.dagman.out"
    bench.until(lambda: log.exists() and "EXITING WITH STATUS" in log.read_text())
    assert "EXITING WITH STATUS 0" in log.read_text()


def test_where_nobody_answers_an_error_says_so(bench: CondorBench, tmp_path: Path) -> None:
    from armillary.batch.engines.htcondor.config import condor_config
    from armillary.batch.engines.htcondor.pool import CondorPool

    (tmp_path / "tokens.d").mkdir(mode=0o700)
    config = tmp_path / "condor_config"
    config.write_text(
        condor_config(collector="127.0.0.1:1", trust_domain="nowhere", tokens=tmp_path / "tokens.d")
    )
    pool = CondorPool(config=config)
    with pytest.raises(Unavailable) as refused:
        pool.ping()
    pool.close()
    assert refused.value.code == "htcondor_unavailable"
