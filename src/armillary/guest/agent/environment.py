"""What a job is started as: its command, and the variables that it sees."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from armillary.guest.agent import staging
from armillary.guest.agent.basics import PATH, Fault, Json, fault_of
from armillary.guest.agent.keeping import NotStarted
from armillary.guest.agent.processes import MARK

if TYPE_CHECKING:
    from armillary.guest.agent.job import Job


def of_job(job: Job) -> dict[str, str]:
    """Return the variables: HTCondor's habits, where the platform is, and those of the submit file."""
    temporary, work = str(job.base / "tmp"), str(job.work)
    name = job.account.name if job.account else pwd.getpwuid(os.geteuid()).pw_name
    made = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": str(job.base / "home"), "USER": name, "LOGNAME": name}
    made.update({"TMPDIR": temporary, "TMP": temporary, "TEMP": temporary, "PWD": work})
    made.update({"OMP_NUM_THREADS": str(job.cpus), "ARMILLARY_JOB": str(job.ids["job"])})
    if job.worker.machine.gpus:
        made["CUDA_VISIBLE_DEVICES"] = ",".join(str(number) for number in job.gpus)
    credential: Json = job.item.get("credential") or {}
    if credential.get("owner"):
        made["ARMILLARY_OWNER"] = str(credential["owner"])
    host = credential.get("vospace") or job.worker.config.get("vospace")
    if host:
        made["VOSPACE_WEBSERVICE"] = str(host)
    if job.worker.bundle:  # clients that bring their own list of authorities must know ours too
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            made[variable] = str(job.worker.bundle)
    given: dict[str, str] = job.spec.get("environment") or {}
    made.update({str(k): str(v) for k, v in given.items()})
    made[MARK] = work
    return made


def command_of(job: Job) -> list[str]:
    """Return the program with its path, and its arguments. Raises Fault `executable_missing`."""
    executable = str(job.spec.get("executable") or "")
    arguments = [str(argument) for argument in job.spec.get("arguments") or ()]
    if job.spec.get("transfer_executable", True):
        program = str(job.work / staging.destination(executable))
        present = os.path.isfile(program)  # noqa: PTH113
    elif "/" in executable:
        program = str(job.work / executable)
        present = os.path.isfile(program) and os.access(program, os.X_OK)  # noqa: PTH113
    else:
        found = shutil.which(executable, path=of_job(job)["PATH"])
        program, present = found or executable, bool(found)
    if not present:
        raise Fault("executable_missing", f"there is no program {executable} on the worker", retry=False)
    return [program, *arguments]


def why_not(problem: NotStarted, plan: Json) -> Fault:
    """Say what was to blame for a program that could not be started."""
    program = plan["command"][0]
    if problem.stage == "input":
        return Fault("input_invalid", f"standard input cannot be read: {problem.strerror}", retry=False)
    if problem.stage == "program" and problem.errno == 0:
        return Fault("job_invalid", f"the job cannot be started as it is: {problem.strerror}", retry=False)
    if problem.stage == "program" and fault_of(problem).record["code"] != "job_invalid":
        name = Path(program).name
        return Fault(
            "executable_missing", f"{name} cannot be run on the worker: {problem.strerror}", retry=False
        )
    return fault_of(problem)
