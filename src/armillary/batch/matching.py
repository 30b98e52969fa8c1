"""Which machines a job takes and likes: its requirements and rank, over the job's and the machine's ClassAds.

Evaluated once for each distinct text, request and kind of machine, however many jobs share them, and in the process
that is there for strangers' expressions.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from armillary.base.ids import CloudName, Sha512
from armillary.batch.core.flavors import Ranks
from armillary.batch.core.packing import Accepts, Kind
from armillary.batch.model import NO_WANTS, Resources, Wants
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

    def learn(self, pairs: Iterable[tuple[Wants, Resources, MachineKind]]) -> None:
        """Find out about all these at once, so that the questions after it are answered from memory."""
        keys = {_Key(*pair) for pair in pairs if pair[0] != NO_WANTS}
        with self._lock:
            unknown = [key for key in keys if key not in self._known]
        for start in range(0, len(unknown), 500):
            self._ask(unknown[start : start + 500])

    def answer(self, wants: Wants, asked: Resources, kind: MachineKind) -> Answer:
        """Return what the job says of the machine, with the conjuncts of its requirements one by one."""
        if wants == NO_WANTS:
            return Answer(accepts=True)
        key = _Key(wants, asked, kind)
        with self._lock:
            known = self._known.get(key)
        return known if known is not None else self._ask([key])[key]

    def for_group(self, image: Sha512, sizes: Mapping[Kind, Resources]) -> tuple[Accepts, Ranks]:
        """Return the two questions of the core about machines of these kinds."""

        def about(wants: Wants, asked: Resources, kind: Kind) -> Answer:
            return self.answer(wants, asked, MachineKind(sizes[kind], image, *kind))

        return (
            lambda wants, asked, kind: kind in sizes and about(wants, asked, kind).accepts,
            lambda wants, asked, kind: about(wants, asked, kind).rank if wants.rank else 0.0,
        )

    def _ask(self, keys: list[_Key]) -> dict[_Key, Answer]:
        conjuncts = {key: conjuncts_of(key.wants.requirements) for key in keys}
        try:
            values = self._evaluator.ask([_question(key, conjuncts[key]) for key in keys])
            found = {key: _answer(key, conjuncts[key], told) for key, told in zip(keys, values, strict=True)}
        except Undecidable:
            if len(keys) > 1:  # one of them is to blame; the others shall not suffer for it
                found = {key: answer for one in keys for key, answer in self._ask([one]).items()}
            else:
                found = {keys[0]: Answer(accepts=False, parts=((keys[0].wants.requirements, False),))}
        with self._lock:
            if len(self._known) > KEPT:
                self._known.clear()
            self._known.update(found)
        return found


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
