"""Goes through the portal as a visitor who opens every link."""

from __future__ import annotations

import html
import re
from collections import deque
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute
from portal_visitor import Browser
from starlette.routing import Match

LINKS = re.compile(r'<a\b[^>]*?\bhref="([^"#]+)')
LINES = re.compile(r"<code data-command>(.*?)</code>", re.DOTALL)
OTHERS = re.compile(r"/(?:api|arc|vault|console)/|.*/screen(?:/elsewhere)?$")
"""Answered by other services of the platform, beside the portal; and screens, which clouds in memory have not."""
MOST_OF_A_KIND = 4
"""Addresses of one page that are opened: `/jobs/7` and `/jobs/8` are the same page."""


def crawl(visitor: Browser, *, start: str = "/") -> Iterator[tuple[str, int, str]]:
    """Every page of ours that links lead to: address, status, and the page if it is one."""
    app = visitor.client.app
    assert isinstance(app, FastAPI)
    seen, opened = {start}, dict[str, int]()
    waiting = deque([start])
    while waiting:
        address = waiting.popleft()
        kind = route_of(app, address)
        opened[kind] = opened.get(kind, 0) + 1
        if opened[kind] > MOST_OF_A_KIND:
            continue
        reply = visitor.client.get(address, headers={"accept-language": visitor.language})
        is_page = reply.headers.get("content-type", "").startswith("text/html")
        yield address, reply.status_code, reply.text if is_page else ""
        for link in map(html.unescape, LINKS.findall(reply.text if is_page else "")):
            if (
                link.startswith("/")
                and not OTHERS.match(link)
                and not link.startswith("//")
                and link not in seen
            ):
                seen.add(link)
                waiting.append(link)


def route_of(app: FastAPI, address: str) -> str:
    """The path of the route that answers an address."""
    path = address.partition("?")[0]
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.matches(scope)[0] is Match.FULL:
            return route.path
    return "/static" if path.startswith("/static/") else path


def command_lines(page: str) -> list[str]:
    """The command lines that a page shows."""
    return [html.unescape(line) for line in LINES.findall(page)]
