"""The page of the reference about compliance is the one that these tests write."""

from __future__ import annotations

from write_page import PAGE, gathered, page


def test_the_page_is_what_the_tests_say() -> None:
    """Their results are in it as passed; where that is not so, their own failures say so."""
    command = "python tests/vospace/compliance/write_page.py"
    assert PAGE.read_text() == page(gathered(), {}), f"stale; run {command}"


def test_every_item_of_the_matrix_has_a_row() -> None:
    assert {clause.item for clause in gathered()} == set(range(66))
