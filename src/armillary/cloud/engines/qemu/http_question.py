"""A guest's HTTP request, made safe to pass on. Pure, standard library only.

Only what the metadata service looks at is passed on: method, path, a short body, and none of the header fields by
which a guest could claim to be another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MOST_HEAD = 8192
MOST_BODY = 4096
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (?:http://[^/ ]{1,255})?(/[!-~]{0,2048}) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):([\t\x20-\x7e\x80-\xff]{0,4096})")
_PASSED_ON = (b"accept", b"content-type", b"user-agent")


class Question(NamedTuple):
    """What a guest asks."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Unclear(Exception):
    """What came is no request that could be passed on; its text is the status line's end."""


def read_question(received: bytes) -> Question | None:
    """Return the request once it is whole, None while it is not.

    Raises:
        Unclear: it is none, or longer than any that the metadata service understands.
    """
    head, mark, body = received.partition(b"\r\n\r\n")
    if not mark:
        if len(received) > MOST_HEAD:
            raise Unclear("431 Request Header Fields Too Large")
        return None
    first, *rest = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    fields = [_FIELD.fullmatch(text) for text in rest]
    if line is None or not all(fields):
        raise Unclear("400 Bad Request")
    named = [(field[1].lower(), field[2].strip(b" \t")) for field in fields if field]
    length = _length(named)
    if len(body) < length:
        return None
    passed_on = tuple((name, value) for name, value in named if name in _PASSED_ON)
    return Question(line[1], line[2], passed_on, body[:length])


def _length(named: list[tuple[bytes, bytes]]) -> int:
    said = {value for name, value in named if name == b"content-length"}
    if any(name == b"transfer-encoding" for name, _ in named):
        raise Unclear("411 Length Required")
    if len(said) > 1 or any(not value.isdigit() or len(value) > 9 for value in said):
        raise Unclear("400 Bad Request")
    length = int(next(iter(said), b"0"))
    if length > MOST_BODY:
        raise Unclear("413 Content Too Large")
    return length


def write_question(question: Question, *, prefix: str, host: str, added: Mapping[str, str]) -> bytes:
    """Return the request as it is passed on: one per connection, with the fields that we vouch for."""
    lines = [b"%s %s%s HTTP/1.1" % (question.method, prefix.encode(), question.target)]
    ours = {"Host": host, "Connection": "close", "Content-Length": str(len(question.body)), **added}
    lines += [f"{name}: {value}".encode() for name, value in ours.items()]
    lines += [b"%s: %s" % field for field in question.fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + question.body


def refusal(status: str) -> bytes:
    """Return an answer of our own."""
    body = f"{status}\n"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()
