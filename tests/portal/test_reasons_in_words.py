"""Every reason that batch or the fleet gives has a sentence of its own in each language, and its figures fit into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import armillary
from armillary.base.errors import Conflict
from armillary.base.ids import CloudName
from armillary.batch.core.flavors import Offer
from armillary.batch.core.hold_codes import HOLD_CODES
from armillary.batch.core.packing import Kind
from armillary.batch.core.refusals import quota_full
from armillary.batch.model import MachineState, Resources
from armillary.portal.i18n import translations
from armillary.portal.wording import ERRORS, error_text
from armillary.portal.wording_jobs import CAUSES

SOURCE = Path(armillary.__file__).parent
PLACES = re.compile(r"%\((\w+)\)s")


def reasons() -> Iterator[tuple[str, set[str]]]:
    """The code of each reason that the source makes with a code of its own, and the names of its facts."""
    for path in sorted(SOURCE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) != "Refusal":
                continue
            given = {each.arg: each.value for each in call.keywords}
            code, facts = given.get("code"), given.get("facts")
            if not isinstance(code, ast.Constant):
                continue
            keys = facts.keys if isinstance(facts, ast.Dict) else []
            named = {str(key.value) for key in keys if isinstance(key, ast.Constant)}
            whole = facts is None or isinstance(facts, ast.Dict)
            yield str(code.value), {"cloud", *named} if whole else set(places(str(code.value)))


def places(code: str) -> list[str]:
    return PLACES.findall(" ".join(ERRORS.get(code, ("", ""))))


def test_every_reason_has_a_sentence_in_every_language_and_its_figures_fit_into_it() -> None:
    found = list(reasons())
    assert len(found) > 15
    french = translations("fr")
    for code, facts in found:
        assert code in ERRORS, f"{code} has no sentence in portal/wording*"
        assert set(places(code)) <= facts, f"{code} has not all that its sentence names"
        assert french.gettext(ERRORS[code][0]) != ERRORS[code][0], f"{code} is not in French"


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        ("no_room_to_import", {"home": "/home/ada", "needed": "23 B", "room": "12 B"}),
        ("places_closed", {"files": 2, "first": "vos://a~v/home/ada/m51.fits", "reason": "node_frozen"}),
    ],
)
def test_an_import_that_is_refused_says_why_with_its_figures_in_every_language(
    code: str, facts: dict[str, object]
) -> None:
    refusal = Conflict("as it was raised", code=code, facts=facts, remedy="as it was raised")
    said = {locale: error_text(translations(locale), refusal) for locale in ("en", "fr")}
    assert len({one.message for one in said.values()} | {one.remedy for one in said.values()}) == 4
    for one in said.values():
        assert "as it was raised" not in {one.message, one.remedy}
        assert all(str(facts[name]) in one.message for name in places(code))


@pytest.mark.parametrize("state", [MachineState.PLANNED, MachineState.BOOTING])
def test_a_worker_that_is_on_its_way_is_told_in_words(state: MachineState) -> None:
    assert set(places(f"worker_{state.value}")) <= {"worker", "seconds", "usual_seconds", "cloud"}
    assert f"worker_{state.value}" in ERRORS


def test_a_quota_that_keeps_workers_from_booting_is_told_with_its_figures() -> None:
    offer = Offer(
        kind=Kind(CloudName("east"), "c2-2gb-10"),
        size=Resources(cpus=2, memory_mib=2048, disk_kib=10 * 2**20),
        vcpus=2,
        ram_mib=2048,
        pool="east",
    )
    refusals = quota_full(offer, (1, 1024, 0), (8, 16384, 10))
    told = [error_text(translations("fr"), refusal).message for refusal in refusals]
    assert len(told) == 3
    for refusal, french in zip(refusals, told, strict=True):
        assert french != refusal.message
        assert "%(" not in french
    assert "c2-2gb-10" in told[0]


@pytest.mark.parametrize("code", sorted(HOLD_CODES))
def test_every_cause_of_a_hold_has_its_words(code: str) -> None:
    assert code in ERRORS
    assert code in CAUSES
    assert translations("fr").gettext(CAUSES[code][0]) != CAUSES[code][0]
