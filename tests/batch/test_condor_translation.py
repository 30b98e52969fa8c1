"""Our jobs in HTCondor's words, and HTCondor's in ours. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.base.errors import Invalid
from armillary.base.ids import ProjectId, Sha512, WorkerId
from armillary.batch.engines.htcondor.joining import PoolTerms, worker_config
from armillary.batch.engines.htcondor.sight import Sight, hold_code, sight
from armillary.batch.engines.htcondor.translate import Asked, Terms, below, commands, shared
from armillary.batch.model import Group, Resources

GROUP = Group(ProjectId("p" * 32), Sha512("a" * 128), "c2-2gb-10")


def said(
    spec: dict[str, Any] | None = None, *, owner: str = "ada", avoid: tuple[str, ...] = ()
) -> dict[str, str]:
    """The commands of a job."""
    terms = Terms(
        platform="m",
        cluster=7,
        group=GROUP,
        owner=owner,
        project="galaxies",
        batch_name=None,
        lease_seconds=120,
        avoid=avoid,
    )
    asked = Asked(
        proc=3,
        turn=1,
        spec={"executable": "run.sh", **(spec or {})},
        cpus=2,
        memory_mib=512,
        disk_kib=4096,
        gpus=0,
        priority=5,
        max_retries=0,
        inputs="/in",
        outputs="/out",
    )
    return commands(asked, terms)


def test_sizes_carry_their_units() -> None:
    made = said()
    assert (made["request_cpus"], made["request_memory"], made["request_disk"]) == ("2", "512M", "4096K")
    assert "request_gpus" not in made


def test_a_job_is_given_up_by_a_lease_of_ours() -> None:
    """HTCondor's own would be forty minutes."""
    assert said()["job_lease_duration"] == "120"


def test_files_are_named_where_they_were_laid_out() -> None:
    made = said(
        {"transfer_input_files": ["data/x", "../up", "folder/", "https://a.example/y"], "input": "given"}
    )
    assert made["executable"] == "/in/run.sh"
    assert made["input"] == "/in/given"
    assert made["transfer_input_files"] == "/in/data/x, /in/_up/up, /in/folder/, https://a.example/y"


def test_a_path_never_leads_out_of_its_folder() -> None:
    assert below("/etc/../../passwd") == "etc/_up/_up/passwd"
    assert below("./a//b/.") == "a/b"


def test_a_job_goes_only_to_machines_of_its_image_and_not_to_those_that_end() -> None:
    made = said({"requirements": "HasAvx"}, avoid=("w2", "w1"))
    assert made["requirements"].startswith("(HasAvx) && ")
    assert f'TARGET.ArmillaryImage =?= "{GROUP.image}"' in made["requirements"]
    assert made["MY.ArmillaryAvoid"] == '"w1,w2"'


def test_a_job_cannot_pass_for_one_of_another_image() -> None:
    made = said({"attributes": {"ArmillaryImage": '"another"', "Mine": "1 + 1"}})
    assert made["MY.ArmillaryImage"] == f'"{GROUP.image}"'
    assert made["MY.Mine"] == "1 + 1"


def test_names_are_such_that_the_accountant_takes_them() -> None:
    assert said(owner="ada.l@uni,verse")["accounting_group_user"] == "ada_l_uni_verse"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("$(Cluster)", "$(DOLLAR)(Cluster)"),
        ("$ENV(HOME)", "$(DOLLAR)ENV(HOME)"),
        ("$$(Memory)", "$$(Memory)"),
        ("$$", "$$(DOLLARDOLLAR)"),
    ],
)
def test_nothing_in_a_job_is_a_macro_of_the_schedds_side(text: str, escaped: str) -> None:
    assert said({"arguments": [text]})["arguments"] == f'"{escaped}"'


@pytest.mark.parametrize(
    "spec",
    [
        {"arguments": ["two\nlines"]},
        {"environment": {"A": "unit\x1fseparator"}},
        {"transfer_input_files": ["vos:ada/x"]},
        {"transfer_input_files": ["a,b"]},
    ],
)
def test_what_a_schedd_cannot_be_told_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        said(spec)
    assert refused.value.code == "not_with_htcondor"


def test_policies_are_htcondors_own() -> None:
    policy = {
        "periodic_hold": "NumJobStarts > 3",
        "success_exit_code": 4,
        "retry_request_memory_mib": [1024, 2048],
    }
    made = said({"policy": policy, "allowed_execute_seconds": 60, "concurrency_limits": {"db": 2.0}})
    assert made["periodic_hold"] == "NumJobStarts > 3"
    assert made["retry_request_memory"] == "1024M, 2048M"
    assert (made["allowed_execute_duration"], made["concurrency_limits"]) == ("60", "db:2")


def test_jobs_share_what_they_say_alike() -> None:
    same, each = shared([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
    assert (same, each) == ({"a": "1"}, [{"b": "2"}, {"b": "3"}])


def ad(**more: Any) -> dict[str, Any]:
    """What a schedd says of a job."""
    ours = {"ArmillaryCluster": 7, "ArmillaryProc": 3, "ArmillaryTurn": 1, "ClusterId": 12, "ProcId": 0}
    return {**ours, "JobStatus": 1, "EnteredCurrentStatus": 100, **more}


def seen(**more: Any) -> Sight:
    found = sight(ad(**more))
    assert found is not None
    return found


def test_a_job_whose_files_are_on_their_way_is_not_on_hold() -> None:
    assert sight(ad(JobStatus=5, HoldReasonCode=16)) is None
    assert sight({"ClusterId": 1, "ProcId": 0, "JobStatus": 1}) is None


def test_anything_that_happens_leaves_another_mark() -> None:
    running = {"JobStatus": 2, "JobCurrentStartDate": 110}
    marks = [
        seen().mark,
        seen(**running).mark,
        seen(**running, JobCurrentStartExecutingDate=111).mark,
        seen(NumJobStarts=1).mark,
        seen(JobStatus=5, HoldReasonCode=3, NumHolds=1).mark,
        seen(JobStatus=5, HoldReasonCode=3, NumHolds=2).mark,
        seen(NumJobCompletions=1).mark,
    ]
    assert len(set(marks)) == len(marks)


def test_a_signal_is_no_exit_code() -> None:
    killed = seen(JobStatus=4, ExitBySignal=True, ExitSignal=9, ExitCode=0)
    assert (killed.exit_code, killed.signal) == (None, 9)


@pytest.mark.parametrize(
    ("number", "subcode", "code"),
    [
        (1, 0, "held_by_user"),
        (3, 42, "policy_hold"),
        (6, 2, "executable_missing"),
        (6, 13, "job_invalid"),
        (13, 2, "input_missing"),
        (13, 256, "input_fetch_failed"),
        (34, 102, "memory_exceeded"),
        (46, 0, "job_time_exceeded"),
        (47, 0, "time_exceeded"),
        (9999, 0, "held_by_htcondor"),
    ],
)
def test_holds_have_the_codes_that_our_agents_give(number: int, subcode: int, code: str) -> None:
    assert hold_code(number, subcode) == code


def test_a_workers_configuration_takes_its_own_jobs_only_and_needs_no_way_in() -> None:
    terms = PoolTerms(collector="cm.example:9618", trust_domain="example", platform="m")
    text = worker_config(
        WorkerId("w1"), group=GROUP, size=Resources(cpus=2, memory_mib=2048, disk_kib=1), terms=terms
    )
    lines = text.splitlines()
    assert "CCB_ADDRESS = $(COLLECTOR_HOST)" in lines
    assert "CONDOR_HOST = cm.example" in lines
    (start,) = (line for line in lines if line.startswith("START ="))
    assert f'TARGET.ArmillaryImage =?= "{GROUP.image}"' in start
    assert f'TARGET.ArmillaryProject =?= "{GROUP.project}"' in start
