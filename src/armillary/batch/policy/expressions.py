"""ClassAd expressions that strangers wrote: what is taken, and what they say of a job.

Evaluation happens in a process of its own (`judge.py`) with bounds on its memory and time, because an expression of a
few lines can ask for more of both than there is. What an expression may call is listed here: nothing that looks at
the machine it runs on.
"""

from __future__ import annotations

import importlib
import os
import re
from functools import lru_cache
from typing import Any

from armillary.base.errors import Invalid

MAX_LENGTH = 8192
_FUNCTIONS = frozenset(
    """
    abs absTime allCompare anyCompare ceiling countMatches envV1ToV2 floor formatTime ifThenElse int interval isAbstime
    isBoolean isClassad isError isInteger isList isReal isReltime isString isUndefined join max member min pow quantize
    real regexp regexpMember regexps relTime replace replaceAll round size split splitTime splitSlotName splitUserName
    strcat strcmp stricmp string stringListAvg stringListIMember stringListMax stringListMember stringListMin
    stringListRegexpMember stringListSize stringListSum stringListsIntersect stringListSubsetMatch substr sum avg time
    toLower toUpper unparse unresolved versionGE versionGT versionLE versionLT versionEQ versionCmp version_in_range
    bool identicalMember random stringListISubsetMatch mergeEnvironment listToArgs argsToList
    """.lower().split()
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@lru_cache(maxsize=4096)
def _wrong_with(text: str) -> str | None:
    if len(text) > MAX_LENGTH:
        return f"it has {len(text)} characters; {MAX_LENGTH} is the most"
    bare = _STRING.sub('""', text)
    for name in _CALL.findall(bare):
        if name.lower() not in _FUNCTIONS and name.lower() not in {"is", "isnt"}:
            return f"it calls {name}(), which is not among the functions that are allowed"
    os.environ.setdefault(
        "CONDOR_CONFIG", "/dev/null"
    )  # else the import looks for HTCondor's own configuration
    classad2: Any = importlib.import_module("classad2")

    try:
        classad2.ExprTree(text)
    except (classad2.ClassAdException, ValueError):
        return "it is no ClassAd expression"
    return None


def check(text: str, *, field: str, proc: int | None = None) -> None:
    """Raise Invalid `bad_expression` unless the text is an expression that we would evaluate."""
    wrong = _wrong_with(text)
    if wrong is not None:
        shown = text if len(text) <= 100 else text[:99] + "…"
        raise Invalid(
            f"{field} = {shown}: {wrong}",
            code="bad_expression",
            facts={"field": field, "expression": text[:1000], "proc": proc},
            remedy="Write it as HTCondor's manual has it, such as: NumJobStarts > 3 && ExitCode != 0",
        )


@lru_cache(maxsize=4096)
def names_in(text: str) -> frozenset[str]:
    """Return what the expression may refer to, in lower case."""
    return frozenset(name.lower() for name in _NAME.findall(_STRING.sub('""', text)))
