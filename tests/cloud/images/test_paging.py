"""Lists of images: every order, page by page, in steps of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary.accounts.model import Principal
from armillary.cloud.images.model import Query
from armillary.cloud.images.store import SORTABLE

if TYPE_CHECKING:
    from conftest import Bench

KEYS = st.lists(
    st.tuples(st.sampled_from(sorted(SORTABLE)), st.booleans()), max_size=3, unique_by=lambda key: key[0]
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # the images are the same for all examples: they are only read
@given(order=KEYS, limit=st.integers(1, 4), filtered=st.booleans())
def test_pages_in_any_order_are_the_list_cut_up(
    bench: Bench, ada: Principal, order: list[tuple[str, bool]], limit: int, filtered: bool
) -> None:
    if not bench.images.list(ada, Query())[0]:
        for name in (None, "a", "b", "b", None, "a"):  # names that are none, and ties
            bench.queued(ada, name, tags=["x"])
        bench.active(ada, tags=["x"])
        bench.queued(ada, "c", disk_format=None, tags=["x"])
    # a filter by tags is the one that SQL cannot do
    tags = frozenset({"x"} if filtered else ())
    whole, more = bench.images.list(ada, Query(sort=tuple(order), limit=100, tags=tags))
    assert len(whole) == 8 and not more
    pages: list[str] = []
    marker = None
    while True:
        page, more = bench.images.list(ada, Query(sort=tuple(order), limit=limit, tags=tags, marker=marker))
        pages += [image.id for image in page]
        if not more:
            break
        marker = page[-1].id
    assert pages == [image.id for image in whole]


def test_nothing_comes_before_everything_else_in_an_ascending_order(bench: Bench, ada: Principal) -> None:
    for name in ("a", None, "b"):
        bench.queued(ada, name)
    for descends, wanted in ((False, [None, "a", "b"]), (True, ["b", "a", None])):
        found, _ = bench.images.list(ada, Query(sort=(("name", descends),)))
        assert [image.name for image in found] == wanted
