"""The process that talks to HTCondor: a line of JSON in for each call, one out.

It is a process of its own because the bindings hold Python's lock while they wait for the network (twenty seconds, for a
schedd that does not answer), and because their configuration is one for the whole process. It keeps nothing: whoever
has waited long enough may kill it and start another.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO, cast

Ad = dict[str, Any]


class Door:
    """The calls, by name."""

    def __init__(self, *, condor: Any, classad: Any, schedd: str) -> None:
        self._condor = condor
        self._classad = classad
        self._schedd_name = schedd
        self._known: Any = None

    def submit(self, shared: Mapping[str, str], each: Sequence[Mapping[str, str]]) -> Ad:
        """Queue one job for each of `each`, and bring their files to the schedd. Returns where they are."""
        text = {**shared, **{name: f"$(V{n})" for n, name in enumerate(each[0])}}
        variables = [{f"V{n}": value for n, value in enumerate(one.values())} for one in each]
        # Without variables there is nothing to name jobs by; one that nobody uses does no harm.
        items = [one or {"V0": "-"} for one in variables]
        schedd = self._schedd()
        result = schedd.submit(self._condor.Submit(text), spool=True, itemdata=iter(items))
        schedd.spool(result)
        return {"cluster": result.cluster(), "first": result.first_proc()}

    def query(self, constraint: str, projection: list[str]) -> list[Ad]:
        """Return attributes of the jobs in the queue."""
        return [self._plain(ad, projection) for ad in self._schedd().query(constraint, projection)]

    def act(self, action: str, jobs: list[str], reason: str) -> int:
        """Hold, release, remove or vacate jobs (`cluster.proc` of the schedd's); returns how many changed."""
        done = self._schedd().act(getattr(self._condor.JobAction, action), jobs, (reason, 0))
        return int(done["TotalSuccess"])

    def edit(self, jobs: list[str], attribute: str, value: str) -> int:
        """Set an attribute of jobs."""
        return int(self._schedd().edit(jobs, attribute, value))

    def edit_where(self, constraint: str, attribute: str, value: str) -> int:
        """Set an attribute of all jobs for which the constraint holds."""
        return int(self._schedd().edit(constraint, attribute, value))

    def retrieve(self, jobs: list[str]) -> int:
        """Bring the files of ended jobs into the folders that they were submitted from."""
        self._schedd().retrieve(jobs)
        return len(jobs)

    def machines(self, constraint: str, projection: list[str]) -> list[Ad]:
        """Return attributes of the slots in the pool."""
        startds = self._condor.AdType.Startd
        return [
            self._plain(ad, projection)
            for ad in self._condor.Collector().query(startds, constraint, projection)
        ]

    def forget(self, constraint: str) -> bool:
        """Take the ads of machines out of the collector."""
        for kind, command in (
            ("Machine", "INVALIDATE_STARTD_ADS"),
            ("DaemonMaster", "INVALIDATE_MASTER_ADS"),
        ):
            ad = self._classad.ClassAd({"MyType": "Query", "TargetType": kind})
            ad["Requirements"] = self._classad.ExprTree(constraint)
            self._condor.Collector().advertise([ad], command)
        return True

    def ping(self) -> Ad:
        """Return who the schedd is."""
        where = self._locate()
        self._schedd().query("false", ["ClusterId"])
        return {"name": where["Name"], "version": where["CondorVersion"], "address": where["MyAddress"]}

    def _locate(self) -> Any:
        if self._known is None:
            schedds = self._condor.Collector().query(
                self._condor.AdType.Schedd,
                f'Name == "{self._schedd_name}"' if self._schedd_name else "true",
                ["MyAddress", "AddressV1", "CondorVersion", "CondorPlatform", "Name", "Machine"],
            )
            if not schedds:
                raise RuntimeError(f"the pool has no schedd {self._schedd_name}".rstrip())
            self._known = schedds[0]
        return self._known

    def _schedd(self) -> Any:
        return self._condor.Schedd(self._locate())

    def _plain(self, ad: Any, projection: list[str]) -> Ad:
        """Return what is known and is text, number or truth; expressions by their value."""
        found: Ad = {}
        for name in projection:
            value = ad.get(name)
            if isinstance(value, self._classad.ExprTree):
                value = ad.eval(name)
            if isinstance(value, str | int | float) and not isinstance(value, self._classad.Value):
                found[name] = value
        return found


def serve(calls: TextIO, answers: TextIO, door: Door) -> None:
    """Answer calls until there are no more."""
    for line in calls:
        call = cast("dict[str, Any]", json.loads(line))
        try:
            method: Callable[..., Any] = getattr(door, call["call"])
            answer = {"answer": method(**call["with"])}
        except Exception as error:  # noqa: BLE001 - the bindings raise what they like, and the caller wants to know
            door._known = None  # noqa: SLF001 - it may have moved  # pyright: ignore[reportPrivateUsage]
            answer = {"error": f"{error}" or type(error).__name__, "kind": type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serve on standard input and output. CONDOR_CONFIG has the configuration, the argument the schedd's name."""
    # What the bindings print must not come between our answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    door = Door(
        condor=importlib.import_module("htcondor2"),  # untyped
        classad=importlib.import_module("classad2"),
        schedd=sys.argv[1] if len(sys.argv) > 1 else "",
    )
    serve(sys.stdin, answers, door)


if __name__ == "__main__":
    main()
