"""Requirements and rank of a job over a machine, as HTCondor would have them."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from armillary.base.ids import CloudName, Sha512
from armillary.batch.matching import MachineKind, Matcher, conjuncts_of
from armillary.batch.model import NO_WANTS, Resources, Wants
from armillary.batch.policy.evaluator import Evaluator, Question, Undecidable, Value

IMAGE = Sha512("a" * 128)
ASKED = Resources(cpus=1, memory_mib=1024, disk_kib=1024)
SIZE = Resources(cpus=2, memory_mib=2048, disk_kib=9 * 2**20)
EAST = MachineKind(SIZE, IMAGE, CloudName("east"), "c2-2gb-10")
WEST = EAST._replace(cloud=CloudName("west"))


@pytest.fixture(scope="module")
def matcher() -> Generator[Matcher]:
    evaluator = Evaluator()
    yield Matcher(evaluator=evaluator)
    evaluator.close()


@pytest.mark.parametrize(
    ("requirements", "accepted"),
    [
        ('TARGET.CloudName == "east"', True),
        ('CloudName == "west"', False),
        ('OpSys == "LINUX" && Arch == "X86_64"', True),
        ("Memory >= RequestMemory && TARGET.Cpus >= MY.RequestCpus", True),
        ("Memory > 4096", False),
        ('FlavorName =!= "c2-2gb-10"', False),
        ("HasGluster", False),  # undefined is not true
        ("HasGluster =!= True", True),
        ("Cpus", True),  # a number other than 0, as in HTCondor
        ('regexp("^c2-", FlavorName)', True),
    ],
)
def test_requirements_are_true_or_the_machine_is_not_taken(
    matcher: Matcher, requirements: str, accepted: bool
) -> None:
    assert matcher.accepts(Wants(requirements), ASKED, EAST) is accepted


def test_a_job_without_wishes_takes_any_machine(matcher: Matcher) -> None:
    assert matcher.accepts(NO_WANTS, ASKED, EAST)


def test_its_own_attributes_are_the_jobs(matcher: Matcher) -> None:
    wants = Wants("CloudName == MY.HomeCloud", "", '{"HomeCloud": "\\"west\\""}')
    assert (matcher.accepts(wants, ASKED, EAST), matcher.accepts(wants, ASKED, WEST)) == (False, True)


def test_rank_is_a_number_and_0_where_it_is_none(matcher: Matcher) -> None:
    ranks = [matcher.answer(Wants("", text), ASKED, EAST).rank for text in ("Memory / 2", "Nothing", '"x"')]
    assert ranks == [1024, 0, 0]


def test_each_conjunct_is_told_apart(matcher: Matcher) -> None:
    answer = matcher.answer(Wants('Memory > 1000 && CloudName == "south"'), ASKED, EAST)
    assert answer.parts == (("Memory > 1000", True), ('CloudName == "south"', False))


def test_conjuncts_are_split_only_at_the_top() -> None:
    assert conjuncts_of('a && (b || c && d) && "x && y" == z') == ["a", "(b || c && d)", '"x && y" == z']
    assert conjuncts_of("a && b =?= c && d =!= e") == ["a", "b =?= c", "d =!= e"]
    assert conjuncts_of("a && b || c") == ["a && b || c"]
    assert conjuncts_of("a ? b && c : d") == ["a ? b && c : d"]
    assert conjuncts_of(" ") == []


class Counting(Evaluator):
    """Counts questions, and dies of some."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def ask(self, questions: Sequence[Question]) -> list[dict[str, Value]]:
        self.asked += len(questions)
        if any("poison" in text for question in questions for text in question.ask.values()):
            raise Undecidable("it took too long")
        return [dict.fromkeys(question.ask, True) for question in questions]


def test_a_text_is_evaluated_once_for_each_kind_of_machine_however_many_jobs_share_it() -> None:
    counting = Counting()
    matcher = Matcher(evaluator=counting)
    wants = Wants("Memory > 1000")
    for _ in range(3):
        matcher.learn([(wants, ASKED, EAST), (wants, ASKED, WEST), (NO_WANTS, ASKED, EAST)])
        assert matcher.accepts(wants, ASKED, EAST)
    assert counting.asked == 2


def test_one_text_that_cannot_be_decided_does_not_spoil_the_others() -> None:
    matcher = Matcher(evaluator=Counting())
    good, bad = Wants("Memory > 1000"), Wants("poison")
    matcher.learn([(good, ASKED, EAST), (bad, ASKED, EAST)], seconds=60)
    assert matcher.accepts(good, ASKED, EAST)
    assert not matcher.accepts(bad, ASKED, EAST)
