"""Read a whole submit file: several `queue` statements, each with the macros as they stand there."""

from __future__ import annotations

import re

from armillary.client.submitfile.access import Access
from armillary.client.submitfile.jobs import JobMaker
from armillary.client.submitfile.lines import Statement, statements
from armillary.client.submitfile.macros import Macros
from armillary.client.submitfile.model import JobSpec, Note, Submission, SubmitError
from armillary.client.submitfile.queueing import read_queue

MAX_JOBS = 100_000
_INCLUDE = re.compile(r"(?:(ifexist|command)\b)?\s*(?:into\s+(\S+)\s*)?:\s*(.*)", re.IGNORECASE | re.DOTALL)


def read_submit(text: str, *, access: Access) -> Submission:
    """Return the jobs that a submit file asks for.

    All jobs of a file are one cluster, numbered on over its queue statements. `$(Cluster)` stays as it is, for the
    server to fill in.

    Raises:
        SubmitError: the file breaks the language or asks for what cannot be done; with the line and a remedy.
    """
    reader = _Reader(access=access)
    reader.take(statements(text), depth=0)
    return reader.done(text)


class _Reader:
    def __init__(self, *, access: Access) -> None:
        self._access = access
        self._warnings: dict[str, Note] = {}
        self._maker = JobMaker(access=access, warn=self._warn)
        self._seen: list[Statement] = []
        self._open: list[Statement] = []
        self._jobs: list[JobSpec] = []
        self._queues = 0

    def _warn(self, warning: Note) -> None:
        self._warnings.setdefault(str(warning), warning)

    def take(self, found: list[Statement], *, depth: int) -> None:
        """Go through the statements of a file or of what it includes."""
        for statement in found:
            if statement.kind == "queue":
                self._queue(statement)
            elif statement.kind == "include":
                self._include(statement, depth)
            elif statement.kind == "warning":
                self._warn(Note(message=statement.value.lstrip(": "), line=statement.line))
            elif statement.kind == "error":
                if not self._open:
                    raise SubmitError(statement.value.lstrip(": "), line=statement.line)
                self._seen.append(statement)
            else:
                self._follow(statement)
                self._seen.append(statement)

    def done(self, text: str) -> Submission:
        """Return the submission."""
        if self._open:
            raise SubmitError("this if has no endif", line=self._open[-1].line)
        if not self._queues:
            raise SubmitError(
                "there is no queue statement, so there are no jobs", remedy="End the file with: queue"
            )
        if not self._jobs:
            raise SubmitError("the queue statements make no jobs", remedy="Look at their lists and slices.")
        return Submission(
            jobs=self._jobs,
            batch_name=self._maker.batch_name,
            sources=self._maker.sources,
            warnings=list(self._warnings.values()),
            text=text,
        )

    def _follow(self, statement: Statement) -> None:
        if statement.kind == "if":
            self._open.append(statement)
        elif statement.kind in {"elif", "else", "endif"}:
            if not self._open:
                raise SubmitError(f"{statement.kind} without an if", line=statement.line)
            if statement.kind == "endif":
                self._open.pop()

    def _queue(self, statement: Statement) -> None:
        if self._open:
            raise SubmitError(
                "queue inside if … endif",
                line=statement.line,
                remedy="Set a macro in the if, and queue after endif.",
            )
        self._queues += 1
        macros = Macros(statements=self._seen, access=self._access)

        def expand(text: str) -> str:
            return macros.expand(text, line=statement.line)

        queue = read_queue(statement, expand=expand, access=self._access, warn=self._warn)
        # what an item gives is used, and is not a stray command
        macros.set_all(dict.fromkeys(queue.variables, ""))
        self._maker.check_commands(macros)
        if len(self._jobs) + queue.count * len(queue.items) > MAX_JOBS:
            raise SubmitError(
                f"more than {MAX_JOBS} jobs", line=statement.line, remedy="Submit in several files."
            )
        for row, item in enumerate(queue.items):
            for step in range(queue.count):
                self._jobs.append(self._job(macros, item.values, row=row, step=step, index=item.index))

    def _job(self, macros: Macros, item: dict[str, str], *, row: int, step: int, index: int) -> JobSpec:
        proc = len(self._jobs)
        numbers = {
            "Process": proc,
            "ProcId": proc,
            "Step": step,
            "Row": row,
            "ItemIndex": index,
            "Node": proc,
        }
        macros.set_all({name: str(number) for name, number in numbers.items()})
        macros.set_all({"Item": "", **item})
        return self._maker.make(macros, proc=proc)

    def _include(self, statement: Statement, depth: int) -> None:
        match = _INCLUDE.fullmatch(statement.value)
        if not match:
            raise SubmitError("an include is written include : FILE", line=statement.line)
        if depth >= 8:
            raise SubmitError("includes are nested too deep", line=statement.line)
        if self._open:
            raise SubmitError("include inside if … endif is not supported", line=statement.line)
        option, cache, source = (match[1] or "").lower(), match[2], match[3].strip()
        source = Macros(statements=self._seen, access=self._access).expand(source, line=statement.line)
        if cache:
            raise SubmitError(
                "include … into is not supported", line=statement.line, remedy="Leave out the cache."
            )
        try:
            if option == "command" or source.endswith("|"):
                text = self._access.run(source.rstrip("|").strip(), line=statement.line)
            else:
                text = self._access.read(source, line=statement.line)
        except SubmitError as error:
            if option == "ifexist" and isinstance(error.__cause__, FileNotFoundError):
                return
            raise
        try:
            inner = statements(text)
        except SubmitError as error:
            raise SubmitError(
                f"in {source}: {error.message}", line=statement.line, remedy=error.remedy
            ) from error
        self.take(inner, depth=depth + 1)
