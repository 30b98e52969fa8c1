"""Neutron's lists: filters on any attribute, `fields`, sorting, paging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import Request

from armillary.base.errors import Invalid

_NOT_FILTERS = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir", "tags-any", "not-tags"}

View = dict[str, Any]


def collection(request: Request, name: str, items: Sequence[View]) -> dict[str, Any]:
    """Answer a list request from all that the caller may see."""
    chosen = [item for item in items if _matches(request, item)]
    chosen = _sorted(request, chosen)
    chosen, links = _page(request, chosen)
    answer: dict[str, Any] = {name: [pruned(request, item) for item in chosen]}
    if links:
        answer[f"{name}_links"] = links
    return answer


def pruned(request: Request, item: View) -> View:
    """An item with only the wanted `fields`."""
    fields = [f for text in request.query_params.getlist("fields") for f in text.split(",")]
    return {name: item[name] for name in item if name in fields} if fields else item


def _matches(request: Request, item: View) -> bool:
    query = request.query_params
    for name in query:
        if name in _NOT_FILTERS or name not in item:
            continue
        if not any(_same(item[name], wanted) for wanted in query.getlist(name)):
            return False
    return True


def _same(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.lower() in ({"true", "1", "yes"} if value else {"false", "0", "no"})
    if isinstance(value, list):
        return _listed(cast("list[Any]", value), wanted)
    if value is None:
        return wanted in {"", "None"}
    return str(value) == wanted


def _listed(values: Sequence[Any], wanted: str) -> bool:
    """Lists of text match by membership; lists of objects (`fixed_ips=ip_address=10.0.0.5`) by one key."""
    key, _, text = wanted.partition("=")
    if text:
        objects = [cast("View", value) for value in values if isinstance(value, dict)]
        return any(item.get(key) == text for item in objects)
    return all(part in values for part in wanted.split(","))


def _sorted(request: Request, items: list[View]) -> list[View]:
    keys = request.query_params.getlist("sort_key")
    directions = request.query_params.getlist("sort_dir")
    for place, key in reversed(list(enumerate(keys))):
        backwards = place < len(directions) and directions[place] == "desc"
        order: Callable[[View], tuple[bool, str]] = lambda item, key=key: (  # noqa: E731
            item.get(key) is None,
            str(item.get(key)),
        )
        items = sorted(items, key=order, reverse=backwards)
    return items


def _page(request: Request, items: list[View]) -> tuple[list[View], list[dict[str, str]]]:
    query = request.query_params
    text = query.get("limit")
    if text is None:
        return items, []
    if not text.isdigit():
        raise Invalid(f"Bad limit request: {text} is not a whole number.", code="http_bad_request")
    limit, marker = int(text), query.get("marker")
    backwards = query.get("page_reverse", "").lower() == "true"
    if limit == 0:
        return items, []
    if backwards:
        items.reverse()
    start = 0
    if marker is not None:
        places = [index for index, item in enumerate(items) if item["id"] == marker]
        if not places:
            raise Invalid(f"Bad marker request: {marker} is not in this list.", code="http_bad_request")
        start = places[0] + 1
    page = items[start : start + limit]
    more, some_before = start + limit < len(items), start > 0
    if backwards:
        page, more, some_before = page[::-1], some_before, more
    links: list[dict[str, str]] = []
    if page and more:
        links.append({"rel": "next", "href": _link(request, page[-1]["id"], backwards=False)})
    if page and (some_before or marker is None):
        links.append({"rel": "previous", "href": _link(request, page[0]["id"], backwards=True)})
    return page, links


def _link(request: Request, marker: str, *, backwards: bool) -> str:
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in {"marker", "page_reverse"}]
    kept.append(("marker", marker))
    if backwards:
        kept.append(("page_reverse", "True"))
    path = request.url.path.partition("/v2.0")[2]
    return f"{request.app.state.base_url}/v2.0{path}?{urlencode(kept)}"
