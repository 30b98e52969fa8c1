"""A job is told as HTCondor tells it: names, numbers, units, quoting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from armillary.base.job_ads import Expression, job_ad

JOB: dict[str, Any] = {
    "cluster": 7,
    "proc": 3,
    "batch_name": "catalogues",
    "project": "rotation",
    "owner": "vera",
    "state": "idle",
    "image": {"name": "my-snapshot", "sha512": "ab" * 64},
    "flavor": "c2-2gb-10",
    "executable": "catalogue.sh",
    "arguments": ["m51", "$(Cluster)"],
    "priority": 5,
    "attempts": 0,
    "exit_code": None,
    "signal": None,
    "reason": None,
    "worker": None,
    "cloud": None,
    "submitted_at": "2026-11-23T05:00:00+00:00",
    "entered_at": datetime(2026, 11, 23, 5, tzinfo=UTC),
    "started_at": None,
    "finished_at": None,
}


def ad(spec: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return job_ad({**JOB, **changes}, spec)


@pytest.mark.parametrize(
    ("state", "number"),
    [("idle", 1), ("claimed", 2), ("running", 2), ("removed", 3), ("completed", 4), ("held", 5)],
)
def test_states_have_htcondors_numbers(state: str, number: int):
    assert ad(state=state)["JobStatus"] == number


def test_moments_are_seconds_of_the_epoch_from_text_and_from_datetimes():
    assert ad()["QDate"] == ad()["EnteredCurrentStatus"] == 1795410000
    assert "JobStartDate" not in ad()


def test_the_clusters_number_is_filled_in_where_only_the_server_knew_it():
    assert ad()["Args"] == "m51 7"
    assert ad({"output": "out.$(Cluster)"})["Out"] == "out.7"


def test_arguments_with_blanks_and_quotes_are_told_in_the_new_syntax():
    told = ad(arguments=["two words", "it's", "", "plain"])
    assert told["Arguments"] == "'two words' 'it''s' '' plain"
    assert "Args" not in told


def test_requests_keep_htcondors_units():
    told = ad({"request_memory_mib": 2048, "request_disk_kib": 4096, "request_cpus": 2})
    assert (told["RequestMemory"], told["RequestDisk"], told["RequestCpus"]) == (2048, 4096, 2)


def test_expressions_are_not_text():
    told = ad(
        {"requirements": "Cpus > 2", "policy": {"periodic_hold": "true"}, "attributes": {"Night": "12"}}
    )
    assert all(isinstance(told[name], Expression) for name in ("Requirements", "PeriodicHold", "Night"))


def test_a_jobs_own_attributes_do_not_hide_the_facts():
    told = ad({"attributes": {"owner": '"root"', "Owner": '"root"', "Night": "12"}})
    assert told["Owner"] == "vera"
    assert "owner" not in told
    assert told["Night"] == "12"


def test_a_held_job_has_its_reason_with_number():
    told = ad(state="held", reason="over memory", hold_reason_code=34, hold_reason_subcode=102)
    assert (told["HoldReason"], told["HoldReasonCode"], told["HoldReasonSubCode"]) == ("over memory", 34, 102)


def test_an_end_by_signal_and_an_exit_code_are_told_apart():
    assert ad(state="completed", exit_code=3)["ExitCode"] == 3
    killed = ad(state="completed", signal=9)
    assert (killed["ExitBySignal"], killed["ExitSignal"]) == (True, 9)
    assert "ExitCode" not in killed


def test_who_runs_it_and_who_ran_it():
    assert ad(state="running", worker="w1", cloud="east")["RemoteHost"] == "slot1@w1.east"
    assert ad(state="completed", worker="w1", cloud="east")["LastRemoteHost"] == "slot1@w1.east"
