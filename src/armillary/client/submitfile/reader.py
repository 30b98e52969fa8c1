"""Read a whole submit file: several `queue` statements, each with the macros as they stand there."""

from __future__ import annotations

import re

from armillary.client.submitfile.access import Access
from armillary.client.submitfile.jobs import JobMaker
from armillary.client.submitfile.lines import Statement, statements
from armillary.client.submitfile.macros import Macros
from armillary.client.submitfile.model import JobSpec, Note, Submission, SubmitError
from armillary.client.submitfile.queueing import Queue, read_queue

_NUMBERS = ("process", "procid", "step", "row", "itemindex")
_INCLUDE = re.compile(r"(?:(ifexist|command)\b)?\s*(?:into\s+(\S+)\s*)?:\s*(.*)", re.IGNORECASE | re.DOTALL)


def read_submit(text: str, *, access: Access, name: str = "") -> Submission:
    """Return the jobs that a submit file asks for; `name` is what $(SUBMIT_FILE) becomes.

    All jobs of a file are one cluster, numbered on over its queue statements. `$(Cluster)` stays as it is, for the
    server to fill in.

    Raises:
        SubmitError: the file breaks the language or asks for what cannot be done; with the line and a remedy.
    """
    reader = _Reader(access=access, name=name)
    reader.take(statements(text), depth=0)
    return reader.done(text)


class _Reader:
    def __init__(self, *, access: Access, name: str) -> None:
        self._access = access
        self._warnings: dict[str, Note] = {}
        self._maker = JobMaker(access=access, warn=self._warn)
        self._macros = Macros(access=access, name=name)
        self._defined: dict[str, None] = {}
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
            elif statement.kind == "error" and not self._open:
                raise SubmitError(statement.value.lstrip(": "), line=statement.line)
            else:
                self._follow(statement)
                self._macros.feed(statement)

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
        self._maker.check_unused(self._macros, list(self._defined))
        return Submission(
            jobs=self._jobs,
            sources=self._maker.inputs.sources,
            warnings=sorted(self._warnings.values(), key=lambda note: note.line or 0),
            text=text,
            **self._maker.shared,
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
        macros = self._macros

        def expand(text: str) -> str:
            return macros.expand(text, line=statement.line)

        queue = read_queue(
            statement, expand=expand, access=self._access, warn=self._warn, queued=len(self._jobs)
        )
        automatic = [name for name in (*_NUMBERS, "item", "jobid") if macros.uses(name)]
        fresh = macros.begin([*automatic, *queue.variables])
        self._defined.update(dict.fromkeys(fresh))
        self._maker.check_commands(macros, fresh)
        self._make(queue, frozenset(automatic))
        macros.end()

    def _make(self, queue: Queue, automatic: frozenset[str]) -> None:
        maker, macros = self._maker.begin(self._macros), self._macros
        numbers = [name for name in _NUMBERS if name in automatic]
        for item in queue.items:
            if "item" in automatic:
                macros.give({"item": ""})
            macros.give(item.values)
            for step in range(queue.count):
                proc = len(self._jobs)
                counts = {"step": step, "row": item.index, "itemindex": item.index}
                macros.give({name: str(counts.get(name, proc)) for name in numbers})
                if "jobid" in automatic:
                    macros.give({"jobid": f"$(Cluster).{proc}"})
                self._jobs.append(maker.make(proc=proc))

    def _include(self, statement: Statement, depth: int) -> None:
        match = _INCLUDE.fullmatch(statement.value)
        if not match:
            raise SubmitError("an include is written include : FILE", line=statement.line)
        if depth >= 8:
            raise SubmitError("includes are nested too deep", line=statement.line)
        if self._open:
            raise SubmitError("include inside if … endif is not supported", line=statement.line)
        option, cache, source = (match[1] or "").lower(), match[2], match[3].strip()
        source = self._macros.expand(source, line=statement.line)
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
