"""Runs the compliance tests and writes `docs/reference/vospace-compliance.md` from what they found.

From the top of the source: `python tests/vospace/compliance/write_page.py`
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path

import pytest
from clauses import CLAUSES, Clause

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[2] / "docs" / "reference" / "vospace-compliance.md"
MET, REFUSED, NOT_MET = "met", "not offered", "**not met**"

_HEAD = """# VOSpace 2.1: compliance

Each row is an item of the compliance matrix in appendix B of VOSpace 2.1 (items 1 to 65), or something that its text
demands beside it, with the test that shows it over HTTP, in `tests/vospace/compliance`. Written by
`python tests/vospace/compliance/write_page.py`, which runs them.

| Item | Section | Demand | Test | Result |
|---|---|---|---|---|
"""
_TAIL = """
Where the text and the schema of the standard, or the standard and its users' clients, want different things:

| Asked for | What we do |
|---|---|
| `capabilities` of a link: the text wants them, the schema has no place for them | the schema holds: clients may check it |
| 403 for whoever may not; the stock clients wait for 401 when nobody is signed in | 401 `NotAuthenticated` for a stranger, 403 `PermissionDenied` for others |
| URIs of nodes with all escapes of RFC 3986 | only `%`, `?` and `#` are escaped; the stock client prints names as they come |
| 403 for a property that is read-only | told when it differs from what is there; a whole node sent back is no error |
| New bytes clear the properties of a node (6.4.1, 6.4.2) | they stay: `vcp` over a shared file would take it away from its group |
| A node is busy while it is written (6.4) | never: the old bytes are read until the new ones are whole |
| Reading below a link that is in the middle of a path | it is followed, as the stock client expects; making, setting and deleting answer `LinkFound` |
"""


def gathered() -> Sequence[Clause]:
    """Return all clauses, by item; the tests are imported for it."""
    for module in sorted(HERE.glob("test_clauses_*.py")):
        import_module(module.stem)
    return sorted(CLAUSES, key=lambda clause: (clause.item or 1000, clause.section, clause.demand))


def page(clauses: Sequence[Clause], results: Mapping[str, bool]) -> str:
    """Return the page. A test that is not in `results` has passed."""
    rows: list[str] = []
    for (item, section, demand), group in groupby(clauses, key=lambda c: (c.item, c.section, c.demand)):
        shown = list(group)
        tests = ", ".join(f"`{clause.test.partition('::')[2]}`" for clause in shown)
        refused = shown[0].refused
        passed = all(results.get(clause.test, True) for clause in shown)
        result = (f"{REFUSED}: {refused}" if refused else MET) if passed else NOT_MET
        rows.append(f"| {item or ''} | {section} | {demand} | {tests} | {result} |\n")
    return _HEAD + "".join(rows) + _TAIL


class _Listener:
    """Hears how the tests end."""

    def __init__(self) -> None:
        self.results: dict[str, bool] = defaultdict(lambda: True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("[")[0].rpartition("/")[2]
        self.results[name] &= not report.failed


def main() -> int:
    """Run, write, and fail when a clause is not met."""
    listener = _Listener()
    code = pytest.main(["-q", "-p", "no:cacheprovider", str(HERE)], plugins=[listener])
    clauses = gathered()
    PAGE.write_text(page(clauses, listener.results))
    stale_only = {name for name, passed in listener.results.items() if not passed}
    if stale_only <= {"test_compliance_page.py::test_the_page_is_what_the_tests_say"}:
        return 0
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
