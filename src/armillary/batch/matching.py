"""Which machines a job takes and likes: its requirements and rank, over the job's and the machine's ClassAds.

Evaluated once for each distinct text, request and kind of machine, however many jobs share them, and in the process
that is there for strangers' expressions.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from armillary.base.ids import CloudName, Sha512, WorkerId
from armillary.batch.core.flavors import Ranks
from armillary.batch.core.packing import Accepts, Kind
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import NO_WANTS, Machine, Resources, Wants
from armillary.batch.policy.evaluator import Evaluator, Question, Undecidable, Value

KEPT = 100_000
"""Answers that are remembered."""


class MachineKind(NamedTuple):
    """What a job may ask about a machine."""

    size: Resources
    image: Sha512
    cloud: CloudName
    flavor: str

    def ad(self) -> dict[str, Value]:
        """Return the machine's ClassAd, in HTCondor's names and units."""
        return {
            "MyType": "Machine",
            "Cpus": self.size.cpus,
            "Memory": self.size.memory_mib,
            "Disk": self.size.disk_kib,
            "GPUs": self.size.gpus,
            "TotalCpus": self.size.cpus,
            "TotalMemory": self.size.memory_mib,
            "TotalDisk": self.size.disk_kib,
            "TotalGPUs": self.size.gpus,
            "VMImage": self.image,
            "CloudName": self.cloud,
            "FlavorName": self.flavor,
            "OpSys": "LINUX",
            "Arch": "X86_64",
        }


class Answer(NamedTuple):
    """What a job says of a machine. `parts`: which top-level conjuncts of its requirements hold."""

    accepts: bool
    rank: float = 0.0
    parts: tuple[tuple[str, bool], ...] = ()


class _Key(NamedTuple):
    wants: Wants
    asked: Resources
    kind: MachineKind


class Matcher:
    """Answers from memory where it can. Safe to use from many threads."""

    def __init__(self, *, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._lock = threading.Lock()
        self._known: dict[_Key, Answer] = {}

    def accepts(self, wants: Wants, asked: Resources, kind: MachineKind) -> bool:
        """Whether a job with these wants and this request takes a machine of the kind."""
        return wants == NO_WANTS or self.answer(wants, asked, kind).accepts

    def learn(self, pairs: Iterable[tuple[Wants, Resources, MachineKind]], *, seconds: float = 2.0) -> None:
        """Find out about these, so that `knows` has an answer; for `seconds`, and then the next time about the rest.

        So a submit whose texts take long to evaluate delays itself and nobody else.
        """
        keys = dict.fromkeys(_Key(*pair) for pair in pairs if pair[0] != NO_WANTS)
        with self._lock:
            unknown = [key for key in keys if key not in self._known]
        deadline = time.monotonic() + seconds
        pieces = [unknown[start : start + 500] for start in range(0, len(unknown), 500)]
        while pieces and time.monotonic() < deadline:
            piece = pieces.pop(0)
            try:
                self._ask(piece)
            except Undecidable:
                if len(piece) > 1:  # one of them is to blame; the others shall not suffer for it
                    half = len(piece) // 2
                    pieces[:0] = [piece[:half], piece[half:]]
                else:
                    self._refuse(piece[0])

    def knows(self, wants: Wants, asked: Resources, kind: MachineKind) -> Answer | None:
        """Return the answer if it was found out before: it costs nothing, and may be asked anywhere."""
        if wants == NO_WANTS:
            return Answer(accepts=True)
        with self._lock:
            return self._known.get(_Key(wants, asked, kind))

    def answer(self, wants: Wants, asked: Resources, kind: MachineKind) -> Answer:
        """Return what the job says of the machine, with the conjuncts of its requirements one by one."""
        if wants == NO_WANTS:
            return Answer(accepts=True)
        key = _Key(wants, asked, kind)
        known = self.knows(*key)
        if known is not None:
            return known
        try:
            return self._ask([key])[key]
        except Undecidable:
            return self._refuse(key)

    def for_group(self, image: Sha512, sizes: Mapping[Kind, Resources]) -> tuple[Accepts, Ranks]:
        """Return the core's two questions about machines of these kinds. What is not known yet matches nothing."""

        def about(wants: Wants, asked: Resources, kind: Kind) -> Answer:
            known = self.knows(wants, asked, MachineKind(sizes[kind], image, *kind))
            return known or Answer(accepts=False)

        return (
            lambda wants, asked, kind: kind in sizes and about(wants, asked, kind).accepts,
            lambda wants, asked, kind: about(wants, asked, kind).rank if wants.rank else 0.0,
        )

    def _ask(self, keys: list[_Key]) -> dict[_Key, Answer]:
        """Evaluate all of these. Raises Undecidable."""
        conjuncts = {key: conjuncts_of(key.wants.requirements) for key in keys}
        values = self._evaluator.ask([_question(key, conjuncts[key]) for key in keys])
        found = {key: _answer(key, conjuncts[key], told) for key, told in zip(keys, values, strict=True)}
        self._remember(found)
        return found

    def _refuse(self, key: _Key) -> Answer:
        """Remember that a text takes too long: it matches nothing."""
        answer = Answer(accepts=False, parts=((key.wants.requirements or key.wants.rank, False),))
        self._remember({key: answer})
        return answer

    def _remember(self, found: Mapping[_Key, Answer]) -> None:
        with self._lock:
            if len(self._known) > KEPT:
                self._known.clear()
            self._known.update(found)


class WorkerMatch:
    """Whether a worker that claims is what a job wants: the `Accepts` of the embedded engine's claims.

    A claim holds the lock of all writers, so nothing is evaluated in it. The scaler finds out about all jobs that
    wait and all kinds of machines; a job whose text is not known yet is claimed the next time.
    """

    def __init__(self, *, matcher: Matcher, kind_of: Callable[[WorkerId], MachineKind | None]) -> None:
        """`kind_of` is asked once for each worker: it tells its size by its flavor, and where it stands."""
        self._matcher = matcher
        self._kind_of = kind_of
        self._kinds: dict[WorkerId, MachineKind] = {}

    def __call__(self, wants: Wants, asked: Resources, session: Session) -> bool:
        kind = self._kinds.get(session.worker) or self._kind_of(session.worker)
        if kind is None:
            return False
        if len(self._kinds) > KEPT:
            self._kinds.clear()
        self._kinds[session.worker] = kind
        known = self._matcher.knows(wants, asked, kind)
        return known is not None and known.accepts


def _question(key: _Key, conjuncts: list[str]) -> Question:
    asked = key.asked
    ad: dict[str, Value] = {
        "MyType": "Job",
        "RequestCpus": asked.cpus,
        "RequestMemory": asked.memory_mib,
        "RequestDisk": asked.disk_kib,
        "RequestGPUs": asked.gpus,
    }
    own: dict[str, Any] = json.loads(key.wants.attributes or "{}")
    ask = {f"part{number}": text for number, text in enumerate(conjuncts)}
    if key.wants.requirements:
        ask["requirements"] = key.wants.requirements
    if key.wants.rank:
        ask["rank"] = key.wants.rank
    also = {name: str(text) for name, text in own.items()}
    machine = key.kind.ad()
    # A name without MY. or TARGET. is the job's where the job has it, else the machine's: condor_submit writes
    # TARGET. before those, and people rely on it.
    mine = {name.lower() for name in [*ad, *also]}
    ad |= {name: value for name, value in machine.items() if name.lower() not in mine}
    return Question(ad=ad, also=also, target=machine, ask=ask)


def _answer(key: _Key, conjuncts: list[str], told: Mapping[str, Value]) -> Answer:
    """Read the values. Undefined is not true, as in HTCondor; a rank that is no number is 0."""
    accepts = _true(told.get("requirements")) if key.wants.requirements else True
    rank = told.get("rank")
    return Answer(
        accepts=accepts,
        rank=float(rank) if isinstance(rank, int | float) else 0.0,
        parts=tuple((text, _true(told.get(f"part{number}"))) for number, text in enumerate(conjuncts)),
    )


def _true(value: Value) -> bool:
    return value is True or (isinstance(value, int | float) and not isinstance(value, bool) and value != 0)


_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|=[?!]=|&&|\|\||\?|[()\[\]{}]', re.DOTALL)


def conjuncts_of(text: str) -> list[str]:
    """Split an expression at its outermost `&&`. An outermost `||` or `?` binds weaker, so such a text stays whole."""
    text = text.strip()
    parts: list[str] = []
    depth = start = 0
    for found in _MARK.finditer(text):
        mark = found.group()
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        elif depth == 0 and mark in ("||", "?"):
            return [text] if text else []
        elif depth == 0 and mark == "&&":
            parts.append(text[start : found.start()].strip())
            start = found.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


class Machines(Protocol):
    """Whoever has the records of machines."""

    def machine(self, worker: WorkerId) -> Machine | None: ...


def kind_of(machines: Machines, worker: WorkerId) -> MachineKind | None:
    """Return what kind of machine a worker is; None: it is none of the scaler's."""
    machine = machines.machine(worker)
    if machine is None:
        return None
    return MachineKind(machine.size, machine.group.image, machine.cloud, machine.flavor)
