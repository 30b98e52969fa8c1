"""Evaluates ClassAd expressions, as a process of its own: `python -m armillary.batch.policy.judge`.

One line of JSON in: `{"jobs": [{"ad": {name: value}, "also": {name: expression}, "target": {name: value}, "ask": {key:
expression}}, …]}`, where `target` may be missing; one line out: for each job `{key: value}`, where a value is true, false, a number, a text, or null for all else, undefined
and error too. Whoever started it ends it when it takes too long; it gets no environment, writes no files, and has
little memory.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

_MEMORY = 1 << 30
_LONGEST_TEXT = 10_000


def main() -> None:
    """Answer until the other end is closed."""
    os.environ["CONDOR_CONFIG"] = "/dev/null"
    classad2: Any = importlib.import_module("classad2")

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known: dict[str, Any] = {}

    def tree(text: str) -> Any:
        if len(known) > 1000:
            known.clear()
        if text not in known:
            known[text] = classad2.ExprTree(text)
        return known[text]

    def value(text: str, ad: Any, target: Any) -> Any:
        try:
            found = tree(text).eval(ad, target)
        except (classad2.ClassAdException, ValueError, TypeError, RuntimeError, MemoryError):
            return None
        if isinstance(found, bool):
            return found
        if isinstance(found, classad2.Value):  # undefined, error: also numbers, and must not count as such
            return None
        if isinstance(found, int | float):
            return found
        return found[:_LONGEST_TEXT] if isinstance(found, str) else None

    for line in sys.stdin:
        answers: list[dict[str, Any]] = []
        for job in json.loads(line)["jobs"]:
            ad = classad2.ClassAd(job["ad"])
            for name, text in job["also"].items():
                try:
                    ad[name] = tree(text)
                except (classad2.ClassAdException, ValueError):
                    continue  # an attribute that cannot be read is undefined
            target = classad2.ClassAd(job["target"]) if job.get("target") else None
            answers.append({key: value(text, ad, target) for key, text in job["ask"].items()})
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
