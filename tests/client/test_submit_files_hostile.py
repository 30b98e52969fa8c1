"""Whatever stands in a submit file: jobs, or a SubmitError, in a time that grows no faster than the file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from armillary.client.submitfile import LocalAccess, NoAccess, SubmitError, read_submit
from armillary.client.submitfile.commands import ALIASES, HONOURED, NOT_HONOURED, REFUSED
from armillary.client.submitfile.macros import MOST_NAMES

CORPUS = Path(__file__).parent / "submit_corpus"
ACCESS = LocalAccess(base=CORPUS)
HEAD = "executable = run.sh\n"

names = st.sampled_from(sorted([*HONOURED, *NOT_HONOURED, *REFUSED, *ALIASES, "+Attr", "MY.x", "x", "y"]))
bits = st.sampled_from(
    ["$(x)", "$(y:z)", "$(", ")", "$$(a)", "$INT(x,%03d)", "$Fn(x)", "$(x_$(y))", "$ENV(HOME)", "$CHOICE(x,a,b)", "'", '"', "\\", "1", "-1", "2GB", "true", "a.txt", "tables/", "vos:a", "[", "]", "(", "|", "&&", "==", "9" * 25, "#", " ", ",", ";", "="]
)  # fmt: skip
values = st.one_of(st.lists(bits, max_size=6).map("".join), st.text(max_size=12))
assignments = st.tuples(names, values).map(lambda pair: f"{pair[0]} = {pair[1]}")
queues = st.sampled_from(
    ["queue", "queue 2", "queue x in (a b)", "queue x,y from (\n a b\n c\n)", "queue x from [1:] (\n a\n b\n)", "queue x matching *.txt", "queue x from names.txt", "queue $(x)", "queue x in [", "queue 1 2 3", "queue x from ("]
)  # fmt: skip
others = st.sampled_from(
    ["if defined x", "elif true", "else", "endif", "include : common.inc", "include : ls |", "x @=end", "@end", ")", "# c"]
)  # fmt: skip
files = st.lists(st.one_of(assignments, assignments, queues, others, st.text(max_size=20)), max_size=10).map(
    "\n".join
)


def read_or_refuse(text: str) -> None:
    for access in (ACCESS, NoAccess(files=["run.sh", "a.txt"])):
        try:
            submission = read_submit(text, access=access)
        except SubmitError:
            continue
        common, jobs = submission.wire()
        assert [{**common, **job} for job in jobs] == [job.as_dict() for job in submission.jobs]


@settings(deadline=None, max_examples=300)
@given(files)
@example("queue x in [9999999999999999999999] (a)")
@example(f"{HEAD}request_cpus = {'9' * 5000}\nqueue")
@example(f"{HEAD}arguments = $INT(Process,%0999999999d)\nqueue")
@example(f"{HEAD}priority = 1e400\nqueue")
@example(f"{HEAD}initialdir = {'a' * 5000}\ninput = b\nqueue")
@example(f"{HEAD}queue x matching {'a/' * 3000}*")
@example(f"{HEAD}a\x00b = 1\nqueue")
@example(f"{HEAD}a = \ud800\nqueue")
def test_any_text_makes_jobs_or_a_refusal(text: str):
    read_or_refuse(text)
    read_or_refuse(HEAD + text + "\nqueue")


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_text_of_any_kind_makes_jobs_or_a_refusal(text: str):
    read_or_refuse(text)


def double(times: int) -> str:
    """Macros that double each other: the value would have two to the power of `times` letters."""
    lines = ["a0 = xxxxxxxx"] + [f"a{n} = $(a{n - 1})$(a{n - 1})" for n in range(1, times)]
    return HEAD + "\n".join(lines) + f"\narguments = $(a{times - 1})\nqueue\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (double(38), "grows"),
        (HEAD + "arguments = " + "$(x:" * 5000 + ")" * 5000 + "\nqueue\n", "deep"),
        (HEAD + "a0 = 1\n" + "".join(f"a{n} = $(a{n - 1})\n" for n in range(1, 2000)) + "arguments = $(a1999)\nqueue\n", "deep"),
        (HEAD + "if true\n" * 5000 + "endif\n" * 5000 + "queue\n", "deep"),
        (HEAD + "requirements = " + "(" * 9000 + "true" + ")" * 9000 + "\nqueue\n", "deep"),
        (HEAD + "requirements = " + "!" * 9000 + "true\nqueue\n", "deep"),
        (HEAD + "".join(f"a{n} = 1\n" for n in range(MOST_NAMES + 1)) + "queue\n", "macros"),
        (HEAD + "arguments = " + "x" * 10_000_000 + "\nqueue\n", "characters"),
        (HEAD + "arguments = " + "x \\\n" * 1_000_000 + "\nqueue\n", "characters"),
        (HEAD + "queue x in (" + "a " * 1_000_000 + ")\n", "characters"),
        (HEAD + "queue x in (\n" + "a b\n" * 500_000 + ")\n", "jobs"),
        (HEAD + "queue x from (\n" + "a\n" * 1_000_000 + ")\n", "jobs"),
        (HEAD + "queue 1000000000\n", "jobs"),
        (HEAD + "queue " + "in " * 300_000 + "\n", "more than"),
        (HEAD + 'arguments = "' + "'" * 30_001 + '"\nqueue\n', "quote"),
    ],
)  # fmt: skip
def test_what_would_never_end_is_refused_at_once(text: str, words: str):
    before = time.process_time()
    with pytest.raises(SubmitError) as caught:
        read_submit(text, access=ACCESS)
    assert words in caught.value.message
    assert time.process_time() - before < 8  # each takes a second at most on a quiet machine


@pytest.mark.parametrize(
    "make",
    [
        lambda n: HEAD + "queue x from (\n" + "a, b\n" * n + ")\n",
        lambda n: HEAD + "arguments = $(x)\nqueue x in (" + "ab " * n + ")\n",
        lambda n: HEAD + "".join(f"arguments = {k}\nqueue\n" for k in range(n // 10)),
        lambda n: HEAD + "# comment\n" * n * 10 + "queue\n",
        lambda n: HEAD + 'environment = "' + "A='''' " * (n // 8) + '"\nqueue\n',
        lambda n: HEAD + "transfer_output_files = " + "a, " * n + "\nqueue\n",
        lambda n: HEAD + "arguments = $(x)\nqueue 10 x from (\n" + "a $(y:b) \n" * (n // 10) + ")\n",
    ],
)  # fmt: skip
def test_reading_takes_steps_in_proportion(make: Callable[[int], str]):
    """Counts calls, since clocks tell of the machine's other work too."""

    def steps(n: int) -> int:
        text, count = make(n), 0

        def seen(_frame: FrameType, _event: str, _argument: object) -> None:
            nonlocal count
            count += 1

        before = sys.getprofile()
        sys.setprofile(seen)
        try:
            read_submit(text, access=ACCESS)
        finally:
            sys.setprofile(before)
        return count

    steps(100)  # loads what is loaded once
    # eight times the work; a quadratic reader would take sixty-four times as many
    assert steps(4000) < 10 * steps(500)


def test_ten_thousand_jobs_are_small_on_the_wire():
    text = HEAD + "arguments = $(Process)\noutput = $(Process).out\nrequest_memory = 2GB\nqueue 10000\n"
    submission = read_submit(text, access=ACCESS)
    common, jobs = submission.wire()
    assert set(jobs[0]) == {"proc", "arguments", "output"}
    assert common["request_memory_mib"] == 2048
    assert {**common, **jobs[9999]} == submission.jobs[9999].as_dict()
