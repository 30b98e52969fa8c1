"""The commands of the submit language: what each becomes here. The reference page is made of these tables."""

from __future__ import annotations

import difflib

HONOURED = {
    "executable": "the program, sent along; relative to where you submit",
    "transfer_executable": "`false`: a program of the image",
    "shell": "a command line for `/bin/sh`, in place of `executable`",
    "arguments": "old and new quoting",
    "environment": "old and new quoting; a job has no other variables of yours",
    "getenv": "names and patterns, also with `!`; `true` is refused, since it would send every secret along; warns of names that sound secret",
    "input": "standard input",
    "transfer_input": "`false`: no standard input",
    "output": "standard output, back where you submit",
    "error": "standard error, likewise",
    "log": "written by `submit --wait`, in HTCondor's format",
    "initialdir": "inputs are read and outputs are written there",
    "transfer_input_files": "files, directories (`dir/` for what is in it), and `http(s)://`, `ftp://`, `vos:` addresses, which the worker fetches",
    "transfer_output_files": "without it: all files that are new or changed",
    "transfer_output_remaps": "other names for outputs; addresses are refused",
    "preserve_relative_paths": "names keep their folders",
    "when_to_transfer_output": "`ON_EXIT`, `ON_EXIT_OR_EVICT`, `ON_SUCCESS`",
    "checkpoint_exit_code": "the exit code after a checkpoint: the job goes on, on any worker",
    "transfer_checkpoint_files": "what a checkpoint is; without it: the outputs",
    "stream_output": "seen while the job runs",
    "stream_error": "likewise",
    "request_cpus": "default 1",
    "request_memory": "default 512 MiB; a bare number counts MiB; units K, M, G, T, P",
    "request_disk": "default 512 MiB; a bare number counts KiB; units likewise",
    "request_gpus": "default 0",
    "retry_request_memory": "what is asked for after the memory was too small: `4GB, 8GB`",
    "retry_request_memory_increase": "a quantity or an expression of RequestMemory",
    "retry_request_memory_max": "up to there",
    "requirements": "a ClassAd expression over a worker: Cpus, Memory, Disk, GPUs, VMImage, CloudName, FlavorName, OpSys, Arch",
    "rank": "likewise: the worker with more of it is better",
    "priority": "among your own jobs",
    "max_retries": "default 0, or 2 with `retry_until` or `success_exit_code`, as in HTCondor",
    "retry_until": "an exit code or an expression",
    "success_exit_code": "default 0",
    "on_exit_remove": "an expression over the job",
    "on_exit_hold": "likewise",
    "on_exit_hold_reason": "likewise",
    "on_exit_hold_subcode": "likewise",
    "periodic_hold": "looked at once a minute",
    "periodic_hold_reason": "likewise",
    "periodic_hold_subcode": "likewise",
    "periodic_release": "looked at once a minute",
    "periodic_remove": "likewise",
    "periodic_vacate": "likewise",
    "leave_in_queue": "an expression over the job",
    "allowed_execute_duration": "seconds that a run may take; then the job is held",
    "allowed_job_duration": "seconds with transfers; then the job is held",
    "job_max_vacate_time": "seconds between the signal and the kill",
    "kill_sig_timeout": "likewise, its older name",
    "kill_sig": "number or name; default SIGTERM",
    "hold": "queued on hold",
    "max_materialize": "jobs of the cluster on workers at once",
    "max_idle": "waiting jobs of the cluster that ask for workers at once",
    "concurrency_limits": "`NAME` or `NAME:2`",
    "concurrency_limits_expr": "when it makes a text by itself",
    "accounting_group": "named in the usage report",
    "notification": "`Complete`, `Error`, `Always`, `Never`: one mail when the last job is over",
    "notify_user": "where to; default: your address",
    "batch_name": "the cluster's name in all lists",
    "description": "becomes the attribute JobDescription",
    "universe": "`vanilla` alone",
    "should_transfer_files": "files are always transferred; warns of `no`",
}

WITHOUT_EFFECT = {
    "accounting_group_user": "jobs count for who submits them",
    "arch": "part of the image",
    "batch_id": "the cluster has a number of its own",
    "copy_to_spool": "inputs are always kept until the jobs are over",
    "core_size": "no core files are kept",
    "coresize": "no core files are kept",
    "dagman_log": "written by our `condor_submit_dag`",
    "delegate_job_gsi_credentials_lifetime": "jobs have a credential of their own",
    "dont_encrypt_input_files": "transfers are always encrypted",
    "dont_encrypt_output_files": "transfers are always encrypted",
    "email_attributes": "the mail says what there is to say",
    "encrypt_input_files": "transfers are always encrypted",
    "encrypt_output_files": "transfers are always encrypted",
    "job_ad_information_attrs": "`armillary job show` has all attributes",
    "job_machine_attrs": "each attempt keeps its worker, cloud and image",
    "job_machine_attrs_history_length": "each attempt keeps its worker, cloud and image",
    "jobset": "clusters have names",
    "keep_claim_idle": "workers stay for a while anyway",
    "load_profile": "Windows only",
    "log_xml": "the log is text",
    "match_list_length": "`armillary explain` says more",
    "rendezvousdir": "Globus only",
    "run_as_owner": "each job has a user of its own",
    "skip_filechecks": "files are looked at",
    "starter_debug": "there is no starter",
    "starter_log": "there is no starter",
    "stream_input": "inputs are there before the job begins",
    "submit_event_notes": "written to DAGMan's log alone",
    "submit_event_notes_attrs": "not written to the log",
    "submit_event_user_notes": "not written to the log",
    "transfer_error": "standard error always comes back when it has a name",
    "transfer_output": "standard output always comes back when it has a name",
    "ulog_execute_attrs": "not written to the log",
    "use_scitokens": "jobs have a credential of their own",
    "use_x509userproxy": "jobs have a credential of their own",
    "want_graceful_removal": "jobs are always given time to end",
    "want_job_networking": "workers have a network",
    "x509userproxy": "jobs have a credential of their own",
}
"""Taken without a word: they ask for what happens anyway, or for nothing that a result depends on."""

NOT_HONOURED = {
    "batch_project": "there is no other batch system behind this one",
    "batch_queue": "there is no other batch system behind this one",
    "erase_output_and_error_on_restart": "output begins anew with each attempt",
    "gpus_maximum_capability": "the flavor decides what GPU it is",
    "gpus_minimum_capability": "the flavor decides what GPU it is",
    "gpus_minimum_memory": "the flavor decides what GPU it is",
    "gpus_minimum_runtime": "the flavor decides what GPU it is",
    "hold_kill_sig": "kill_sig counts",
    "cuda_version": "the flavor decides what GPU it is",
    "require_gpus": "the flavor decides what GPU it is",
    "image_size": "request_memory counts",
    "job_lease_duration": "a job whose worker falls silent goes back to the queue when the platform's own lease ends",
    "machine_count": "a job has one machine",
    "max_job_retirement_time": "jobs are given the time of job_max_vacate_time",
    "max_transfer_input_mb": "there is no limit of one's own",
    "max_transfer_output_mb": "there is no limit of one's own",
    "mount_under_scratch": "each job has a scratch directory, and /tmp is shared on the worker",
    "next_job_start_delay": "jobs start as soon as there is room",
    "nice_user": "write priority = -10, say",
    "primary_unix_group": "each job has a user and group of its own",
    "public_input_files": "write transfer_input_files",
    "remote_initialdir": "each job has its own directory on the worker",
    "remove_kill_sig": "kill_sig counts",
    "retry_request_disk": "the same disk is asked for again",
    "skip_if_dataflow": "jobs run, also when their outputs are newer than their inputs",
    "stack_size": "the image decides",
    "want_io_proxy": "there is no proxy for a job's files",
}
"""Taken with a warning that says why it has no effect."""

_ELSEWHERE = "jobs run in machines made from your image, on the clouds of this platform"
_CONTAINER = "jobs run in the machine image that you name, not in containers; run the container in the job"
_CREDENTIALS = "jobs have a credential of their own, for your VOSpace"
_WHEN = "jobs start as soon as there is room; submit when they are to start"
_VM = "the machine image that you name is the machine"
REFUSED = {
    "allow_arguments_v1": "write arguments once",
    "allow_environment_v1": "write environment once",
    "append_files": "the standard universe is no more",
    "batch_extra_submit_args": "there is no other batch system behind this one",
    "batch_runtime": "write allowed_execute_duration",
    "checkpoint_destination": "checkpoints are kept by the platform",
    "cloud_label_names": _ELSEWHERE,
    "cron_day_of_month": _WHEN,
    "cron_day_of_week": _WHEN,
    "cron_hour": _WHEN,
    "cron_minute": _WHEN,
    "cron_month": _WHEN,
    "cron_prep_time": _WHEN,
    "cron_window": _WHEN,
    "deferral_prep_time": _WHEN,
    "deferral_time": _WHEN,
    "deferral_window": _WHEN,
    "encrypt_execute_directory": "scratch directories are not encrypted",
    "grid_resource": _ELSEWHERE,
    "jar_files": "write executable = java, transfer_executable = false",
    "manifest": "there are no transfer manifests",
    "manifest_dir": "there are no transfer manifests",
    "noop_job": "leave the job out",
    "noop_job_exit_code": "leave the job out",
    "noop_job_exit_signal": "leave the job out",
    "node_count": "a job has one machine",
    "output_destination": "results come back to where you submit, or go to VOSpace by vcp in the job",
    "output_directory": "write initialdir, or transfer_output_remaps",
    "parallel_script_shadow": "a job has one machine",
    "parallel_script_starter": "a job has one machine",
    "request_gpu_memory": "the flavor decides what GPU it is",
    "request_gpus_memory": "the flavor decides what GPU it is",
    "scitokens_file": _CREDENTIALS,
    "send_credential": _CREDENTIALS,
    "suspend_job_at_exec": "jobs are not suspended",
    "transfer_common_input": "write transfer_input_files; what jobs share is sent once anyway",
    "transfer_plugins": "workers take no plugins from the submit file",
    "use_oauth_services": _CREDENTIALS,
    "wantnametag": _ELSEWHERE,
}
"""Not taken: doing without would change the result or break a promise."""

FAMILIES = {
    "arc_": _ELSEWHERE,
    "aws_": _CREDENTIALS,
    "azure_": _ELSEWHERE,
    "cloud_label_": _ELSEWHERE,
    "container_": _CONTAINER,
    "docker_": _CONTAINER,
    "ec2_": _ELSEWHERE,
    "gce_": _ELSEWHERE,
    "gs_": _CREDENTIALS,
    "java_": "write executable = java, transfer_executable = false",
    "request_": "no worker has such a resource; there are cpus, memory, disk and gpus",
    "s3_": _CREDENTIALS,
    "tool_daemon_": "there are no tool daemons; `armillary ssh` reaches a running job",
    "transfer_container": _CONTAINER,
    "transform_": "jobs are not transformed",
    "vm_": _VM,
    "xen_": _VM,
}
"""Beginnings of names that are all refused, but for those that stand in another table."""

ALIASES = {
    "accountinggroup": "accounting_group",
    "acctgroup": "accounting_group",
    "allowedexecuteduration": "allowed_execute_duration",
    "allowedjobduration": "allowed_job_duration",
    "args": "arguments",
    "arguments2": "arguments",
    "cmd": "executable",
    "concurrencylimits": "concurrency_limits",
    "env": "environment",
    "environment2": "environment",
    "err": "error",
    "get_env": "getenv",
    "in": "input",
    "initial_dir": "initialdir",
    "iwd": "initialdir",
    "job_iwd": "initialdir",
    "job_universe": "universe",
    "jobbatchname": "batch_name",
    "jobdescription": "description",
    "jobmaxvacatetime": "job_max_vacate_time",
    "jobnotification": "notification",
    "jobprio": "priority",
    "jobuniverse": "universe",
    "killsig": "kill_sig",
    "leavejobinqueue": "leave_in_queue",
    "materialize_max_idle": "max_idle",
    "notifyuser": "notify_user",
    "onexithold": "on_exit_hold",
    "onexitholdreason": "on_exit_hold_reason",
    "onexitholdsubcode": "on_exit_hold_subcode",
    "onexitremove": "on_exit_remove",
    "out": "output",
    "periodichold": "periodic_hold",
    "periodicholdreason": "periodic_hold_reason",
    "periodicholdsubcode": "periodic_hold_subcode",
    "periodicrelease": "periodic_release",
    "periodicremove": "periodic_remove",
    "periodicvacate": "periodic_vacate",
    "preferences": "rank",
    "preserverelativepaths": "preserve_relative_paths",
    "prio": "priority",
    "request_cpu": "request_cpus",
    "request_gpu": "request_gpus",
    "requestcpus": "request_cpus",
    "requestdisk": "request_disk",
    "requestgpus": "request_gpus",
    "requestmemory": "request_memory",
    "runasowner": "run_as_owner",
    "shouldtransferfiles": "should_transfer_files",
    "stderr": "error",
    "stdin": "input",
    "stdout": "output",
    "streamerr": "stream_error",
    "streamout": "stream_output",
    "transfererr": "transfer_error",
    "transferexecutable": "transfer_executable",
    "transferin": "transfer_input",
    "transferinputfiles": "transfer_input_files",
    "transferout": "transfer_output",
    "transferoutputfiles": "transfer_output_files",
    "transferoutputremaps": "transfer_output_remaps",
    "userlog": "log",
    "whentotransferoutput": "when_to_transfer_output",
}
"""Other spellings that HTCondor takes, names of attributes among them."""

CANFAR = {
    "my.vmtype": "the image is the one that you submit with",
    "my.vmname": "the image is the one that you submit with",
    "my.vmami": "the image is the one that you submit with",
    "my.vmloc": "the image is the one that you submit with",
    "my.vmkeepalive": "workers stay as long as there is work for them",
    "my.vmmem": "request_memory counts",
    "my.vmcpucores": "request_cpus counts",
    "my.vmstorage": "request_disk counts",
    "my.vmuser": "each job has a user of its own",
    "my.target_alias": 'every cloud that has room is used; write requirements = CloudName == "…"',
}
"""Attributes that CANFAR's cloud scheduler looked at: kept with the job, without an effect, and said so.

+VMImage and +VMInstanceType are not among them: `condor_submit` takes image and flavor from there.
"""

LISTS = frozenset({"transfer_input_files", "transfer_output_files", "arguments", "environment"})
"""Commands whose parts, not the whole, have a bounded length."""


def canonical(name: str) -> str:
    """Return the name under which a command is known."""
    return ALIASES.get(name, name)


def refusal(name: str) -> str | None:
    """Return why a command is not taken, None when it may be."""
    if name in REFUSED:
        return REFUSED[name]
    if name in HONOURED or name in WITHOUT_EFFECT or name in NOT_HONOURED:
        return None
    return next((why for start, why in FAMILIES.items() if name.startswith(start)), None)


def known(name: str) -> bool:
    """Whether HTCondor has such a command."""
    return name in HONOURED or name in WITHOUT_EFFECT or name in NOT_HONOURED or name.startswith("my.")


def suggestion(name: str) -> str:
    """Return the command that was perhaps meant, or nothing."""
    close = difflib.get_close_matches(
        name, [*HONOURED, *WITHOUT_EFFECT, *NOT_HONOURED, *REFUSED], n=1, cutoff=0.8
    )
    return close[0] if close else ""
