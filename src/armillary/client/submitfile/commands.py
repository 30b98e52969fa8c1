"""The commands of the submit language: what each becomes here."""

from __future__ import annotations

import difflib

ALIASES = {
    "cmd": "executable",
    "args": "arguments",
    "env": "environment",
    "in": "input",
    "stdin": "input",
    "out": "output",
    "stdout": "output",
    "err": "error",
    "stderr": "error",
    "initial_dir": "initialdir",
    "job_iwd": "initialdir",
    "iwd": "initialdir",
    "request_cpu": "request_cpus",
    "requestcpus": "request_cpus",
    "request_gpu": "request_gpus",
    "requestmemory": "request_memory",
    "requestdisk": "request_disk",
    "jobbatchname": "batch_name",
    "prio": "priority",
    "transferinputfiles": "transfer_input_files",
    "transferoutputfiles": "transfer_output_files",
    "transferoutputremaps": "transfer_output_remaps",
    "transferexecutable": "transfer_executable",
    "shouldtransferfiles": "should_transfer_files",
    "whentotransferoutput": "when_to_transfer_output",
    "job_universe": "universe",
    "get_env": "getenv",
}
"""Other spellings that HTCondor takes."""

HONOURED = frozenset(
    [
        "universe",
        "executable",
        "transfer_executable",
        "arguments",
        "environment",
        "getenv",
        "input",
        "output",
        "error",
        "log",
        "initialdir",
        "transfer_input_files",
        "transfer_output_files",
        "transfer_output_remaps",
        "preserve_relative_paths",
        "request_cpus",
        "request_memory",
        "request_disk",
        "request_gpus",
        "max_retries",
        "priority",
        "hold",
        "batch_name",
        "should_transfer_files",
        "notification",
    ]
)

WITHOUT_EFFECT = frozenset(
    [
        "when_to_transfer_output",
        "stream_output",
        "stream_error",
        "run_as_owner",
        "runasowner",
        "nice_user",
        "notify_user",
        "x509userproxy",
        "use_x509userproxy",
        "leave_in_queue",
        "job_lease_duration",
        "accounting_group",
        "accounting_group_user",
        "description",
        "keep_claim_idle",
        "max_idle",
        "max_materialize",
        "copy_to_spool",
        "rendezvousdir",
        "load_profile",
        "stream_input",
        "want_graceful_removal",
        "log_xml",
        "coresize",
        "email_attributes",
        "batch_project",
        "submit_event_notes",
    ]
)
"""Taken without a word: they ask for what happens anyway, or for nothing that a result depends on."""

NOT_HONOURED = {
    "requirements": "every worker is made from the image that you name, so nothing is matched",
    "rank": "all workers of an image are alike",
    "retry_until": "max_retries counts every failure",
    "success_exit_code": "exit code 0 is success",
    "on_exit_remove": "a job that ends leaves the queue",
    "on_exit_hold": "a job that ends leaves the queue",
    "periodic_hold": "nothing is evaluated while the job runs",
    "periodic_release": "nothing is evaluated while the job runs",
    "periodic_remove": "nothing is evaluated while the job runs",
    "periodic_vacate": "nothing is evaluated while the job runs",
    "allowed_execute_duration": "jobs may run as long as they like",
    "allowed_job_duration": "jobs may run as long as they like",
    "concurrency_limits": "there are no concurrency limits",
    "checkpoint_exit_code": "jobs that are interrupted begin again",
    "transfer_checkpoint_files": "jobs that are interrupted begin again",
    "retry_request_memory": "the same memory is asked for again",
    "deferral_time": "jobs start as soon as there is room",
    "cron_minute": "jobs start as soon as there is room",
    "cron_hour": "jobs start as soon as there is room",
    "kill_sig": "jobs are ended by SIGTERM, then SIGKILL",
    "remove_kill_sig": "jobs are ended by SIGTERM, then SIGKILL",
}
"""Taken with a warning that says why it has no effect."""

REFUSED = {
    "output_destination": "results come back to where you submit, or go to VOSpace by vcp in the job",
    "container_image": "jobs run in the machine image that you name, not in containers",
    "docker_image": "jobs run in the machine image that you name, not in containers",
    "transfer_plugins": "workers take no plugins from the submit file",
    "manifest": "there are no transfer manifests",
    "encrypt_execute_directory": "scratch directories are not encrypted",
}
"""Not taken: doing without would change the result or break a promise."""


def canonical(name: str) -> str:
    """Return the name under which a command is known."""
    return ALIASES.get(name, name)


def spellings(name: str) -> list[str]:
    """Return all names of a command, its own first."""
    return [name, *(alias for alias, known in ALIASES.items() if known == name)]


def suggestion(name: str) -> str:
    """Return the command that was perhaps meant, or nothing."""
    known = [*HONOURED, *WITHOUT_EFFECT, *NOT_HONOURED, *REFUSED]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return close[0] if close else ""
