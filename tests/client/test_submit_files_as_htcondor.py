"""Where HTCondor's own library can answer, it and we agree."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.client.submitfile import LocalAccess, read_submit
from armillary.client.submitfile.library import htcondor2 as library

EXAMPLES = Path(__file__).parents[1] / "data" / "submit"
HEAD = "executable = do_catalogue.bash\nx = -\ny = -\n"

words = st.text(alphabet="abcxyz019._-", min_size=1, max_size=8)
rows = st.lists(st.lists(words, min_size=1, max_size=3), min_size=1, max_size=6)
separators = st.sampled_from([" ", ", ", ",", "  ", "\t"])


def ours(text: str, name: str) -> list[str | None]:
    submission = read_submit(f"{HEAD}log = $({name})|\n{text}\n", access=LocalAccess(base=EXAMPLES))
    return [(job.log or "").removesuffix("|") for job in submission.jobs]


def theirs(text: str, name: str) -> list[str]:
    return [item[name] for item in library().Submit(f"{HEAD}{text}\n").itemdata()]


@settings(deadline=None, max_examples=60)
@given(rows, separators)
def test_items_of_a_list_in_lines(table: list[list[str]], separator: str):
    lines = "\n".join("  " + separator.join(row) for row in table)
    text = f"queue x, y from (\n{lines}\n)"
    assert ours(text, "x") == theirs(text, "x")
    assert ours(text, "y") == theirs(text, "y")


@settings(deadline=None, max_examples=60)
@given(st.lists(words, min_size=1, max_size=8), st.sampled_from([" ", ", ", "\n "]))
def test_items_of_a_list_in_one_line(items: list[str], separator: str):
    text = f"queue x in ({separator.join(items)})"
    if separator == "\n ":
        text = f"queue x in (\n {separator.join(items)}\n)"
    assert ours(text, "x") == theirs(text, "x")


def test_what_matching_matches():
    import os

    here = Path.cwd()
    os.chdir(EXAMPLES)  # the library looks from where it stands
    try:
        for form in ("matching files *.fits", "matching *", "matching dirs *", "matching any t*"):
            assert sorted(n.rstrip("/") for n in ours(f"queue x {form}", "x") if n) == sorted(
                n.rstrip("/") for n in theirs(f"queue x {form}", "x")
            )
    finally:
        os.chdir(here)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), words, min_size=1),
    st.text("abcd", min_size=1, max_size=4),
)
def test_macros_expand_alike(values: dict[str, str], uses: str):
    known = [name for name in uses if name in values]
    text = "".join(f"{name} = {value}\n" for name, value in values.items())
    text += "log = " + "/".join(f"$({n})$({n}:z)$Fx({n})" for n in known) + "|\n"
    (job,) = read_submit(f"{HEAD}{text}queue\n", access=LocalAccess(base=EXAMPLES)).jobs
    assert job.log == library().Submit(f"{HEAD}{text}").expand("log")
