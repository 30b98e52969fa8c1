"""Neutron's lists as clients ask for them: filters, `fields`, sorting, paging with links both ways."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from armillary.cloud.network.desk import bad
from armillary.cloud.network.listing import Page, Query, check_limit
from armillary.cloud.network.shelf import Shelf

View = dict[str, Any]
_NOT_FILTERS = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}
_TAGS = {"tags", "tags-any", "not-tags", "not-tags-any"}


def query_of(request: Request, known: Shelf[Any] | Collection[str]) -> Query:
    """Read what a list request asks for, of things whose filters are known.

    Raises:
        Invalid: an attribute that there is not, or a page that cannot be, in Neutron's words.
    """
    sent = request.query_params
    names = [name for name in dict.fromkeys(sent) if name not in _NOT_FILTERS]
    filters = {name: sent.getlist(name) for name in names if name not in _TAGS}
    facets, columns = (known.facets, known.columns) if isinstance(known, Shelf) else (known, ())
    unknown = [name for name in filters if name not in facets]
    if unknown:
        raise bad(f"{unknown} is invalid attribute for filtering", code="http_bad_request")
    return Query(
        filters=filters,
        tags={name: sent.getlist(name) for name in names if name in _TAGS},
        order=_order(request, columns),
        limit=check_limit(sent.get("limit")),
        marker=sent.get("marker"),
        backwards=sent.get("page_reverse", "").lower() in {"true", "1"},
    )


def _order(request: Request, columns: Collection[str]) -> list[tuple[str, bool]]:
    keys, directions = (request.query_params.getlist(name) for name in ("sort_key", "sort_dir"))
    if len(keys) != len(directions):
        raise bad("The number of sort_keys and sort_dirs must be same", code="http_bad_request")
    wrong = [word for word in directions if word not in {"asc", "desc"}]
    if wrong:
        raise bad(
            f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
            code="http_bad_request",
        )
    unknown = [key for key in keys if key not in columns]
    if unknown:
        raise bad(f"{unknown} is invalid attribute for sort_keys", code="http_bad_request")
    return [(key, word == "desc") for key, word in zip(keys, directions, strict=True)]


def answered(request: Request, name: str, page: Page[Any], views: Sequence[View]) -> dict[str, Any]:
    """A page with its links."""
    answer: dict[str, Any] = {name: [pruned(request, view) for view in views]}
    links: list[dict[str, str]] = []
    if page.has_next:
        links.append({"rel": "next", "href": _link(request, page.items[-1].id, backwards=False)})
    if page.has_previous:
        links.append({"rel": "previous", "href": _link(request, page.items[0].id, backwards=True)})
    return answer | ({f"{name}_links": links} if links else {})


def pruned(request: Request, item: View) -> View:
    """An item with only the wanted `fields`."""
    fields = [f for text in request.query_params.getlist("fields") for f in text.split(",") if f]
    return {name: item[name] for name in item if name in fields} if fields else item


def filtered(request: Request, name: str, items: Sequence[View]) -> dict[str, Any]:
    """A list of things that are few and not in the records, with its filters and `fields`."""
    filters = [key for key in request.query_params if key not in _NOT_FILTERS]
    unknown = [key for key in filters if any(key not in item for item in items)]
    if unknown:
        raise bad(f"{unknown} is invalid attribute for filtering", code="http_bad_request")
    wanted = {key: request.query_params.getlist(key) for key in filters}
    chosen = [item for item in items if all(str(item[key]) in values for key, values in wanted.items())]
    return {name: [pruned(request, item) for item in chosen]}


def _link(request: Request, marker: str, *, backwards: bool) -> str:
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in {"marker", "page_reverse"}]
    kept.append(("marker", marker))
    if backwards:
        kept.append(("page_reverse", "True"))
    path = request.url.path.partition("/v2.0")[2]
    return f"{request.app.state.base_url}/v2.0{path}?{urlencode(kept)}"
