"""Read a submit file of somebody else, in a process of its own: `python -m armillary.portal.reading`.

HTCondor's parser is C++ and the file may be hostile. Here it has no environment, no files, little memory and a bounded
time, and whatever ends it becomes a refusal. JSON in: `{"text": …, "names": […]}`, the names of the files that came
along; JSON out: the submission, or the refusal as `ArmillaryError.as_dict` has it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Collection
from typing import Any

from armillary.base.errors import Invalid
from armillary.client.submitfile import JobSpec, NoAccess, Note, Submission, SubmitError, read_submit

SECONDS = 60
"""Of waiting; a thousand jobs take a tenth of one."""
_CPU_SECONDS = 20
_MEMORY = 2 << 30


class Uploaded(NoAccess):
    """What a submit file may touch: the files that came along, by their names. A browser tells no folders."""

    def __init__(self, *, names: Collection[str]) -> None:
        super().__init__(files=names)
        self._names = frozenset(names)

    def tree(self, name: str, *, line: int | None) -> list[str] | None:
        """A name of an uploaded file is that file, whatever folder stands before it."""
        if base_name(name) not in self._names:
            raise Invalid(
                f"The submit file names {name}, which was not uploaded.",
                code="missing_input",
                facts={"path": name, "line": line},
                remedy="Add the file to the form.",
            )
        return None


def base_name(path: str) -> str:
    """Return the last part of a path, as either kind of computer writes it."""
    return path.replace("\\", "/").rsplit("/", maxsplit=1)[-1]


def read_apart(text: str, *, names: Collection[str]) -> Submission:
    """Return the jobs that a submit file asks for; it may touch nothing but the files with these names.

    Raises:
        Invalid: it breaks the language, asks for what cannot be done here, or cannot be read in bounds.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "armillary.portal.reading"],
            input=json.dumps({"text": text, "names": sorted(names)}).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"CONDOR_CONFIG": "/dev/null", "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd="/",
            timeout=SECONDS,
            start_new_session=True,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise SubmitError(
            "this submit file takes too much to be read here",
            remedy="Submit this file with the armillary command on your own machine.",
        ) from error
    if refused := answer.get("error"):
        raise Invalid(
            refused["message"], code=refused["code"], facts=refused["facts"], remedy=refused["remedy"]
        )
    return Submission(
        jobs=[JobSpec(**{**answer["common"], **job}) for job in answer["jobs"]],
        sources=answer["sources"],
        warnings=[Note(**note) for note in answer["warnings"]],
        text=text,
        **answer["shared"],
    )


def main() -> None:
    """Read one submit file from standard input."""
    asked: dict[str, Any] = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        submission = read_submit(asked["text"], access=Uploaded(names=asked["names"]))
    except Invalid as refusal:
        json.dump(refusal.as_dict(), sys.stdout)
        return
    common, jobs = submission.wire()
    answer = {
        "common": common,
        "jobs": jobs,
        "shared": submission.shared(),
        "sources": dict(submission.sources),
        "warnings": [{"message": note.message, "line": note.line} for note in submission.warnings],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
