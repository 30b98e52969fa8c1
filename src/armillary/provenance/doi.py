"""A digital object identifier by way of DataCite's REST API (JSON:API; `POST /dois`, `PUT /dois/ID`).

A DOI begins as a draft, which only its repository sees and may delete, and is published when the page it leads to is
open to everybody. A published one is for ever.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from armillary.base.errors import Unavailable

_DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")
JSON_API = "application/vnd.api+json"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a DOI is for, in DataCite's words (schema 4.5): the parts that it demands, and what makes it useful."""

    title: str
    creators: tuple[str, ...]
    publisher: str
    year: int
    url: str
    description: str = ""


class Registrar(Protocol):
    """Whoever gives DOIs."""

    def draft(self, work: Work) -> str:
        """Return a new DOI that is not public yet. Raises Unavailable `doi_failed`."""
        ...

    def publish(self, doi: str, work: Work) -> None:
        """Make it findable, for ever. Again is fine. Raises Unavailable `doi_failed`."""
        ...

    def discard(self, doi: str) -> None:
        """Delete a draft. One that is gone is fine. Raises Unavailable `doi_failed`."""
        ...


Send = Callable[[str, str, Mapping[str, str], bytes], tuple[int, bytes]]
"""Makes a request: method, URL, headers, body; returns status and answer. Raises OSError when there is none."""


class DataCite:
    """Implements `Registrar` for one repository of DataCite."""

    def __init__(self, *, endpoint: str, repository: str, password: str, prefix: str, send: Send) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._prefix = prefix
        self._send = send
        secret = base64.b64encode(f"{repository}:{password}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {secret}", "Content-Type": JSON_API, "Accept": JSON_API}

    def draft(self, work: Work) -> str:
        answer = self._ask("POST", "/dois", {"prefix": self._prefix, **_attributes(work)})
        found = answer.get("data", {}).get("id")
        if not isinstance(found, str) or not _DOI.fullmatch(found):
            raise _failed("answered without a DOI")
        return found

    def publish(self, doi: str, work: Work) -> None:
        self._ask("PUT", f"/dois/{quote(doi)}", {**_attributes(work), "event": "publish"})

    def discard(self, doi: str) -> None:
        self._ask("DELETE", f"/dois/{quote(doi)}", None)

    def _ask(self, method: str, path: str, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        body = b""
        if attributes is not None:
            body = json.dumps({"data": {"type": "dois", "attributes": attributes}}).encode()
        try:
            status, answer = self._send(method, self._endpoint + path, self._headers, body)
            if method == "DELETE" and status == 404:
                return {}
            if status >= 400:
                raise _failed(f"answered {status}: {_errors(answer)}")
            return json.loads(answer) if answer else {}
        except (OSError, ValueError) as error:
            raise _failed(f"cannot be asked: {error}") from error


def _attributes(work: Work) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "titles": [{"title": work.title}],
        "creators": [{"name": name} for name in work.creators],
        "publisher": {"name": work.publisher},
        "publicationYear": work.year,
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "RO-Crate"},
        "url": work.url,
        "schemaVersion": "http://datacite.org/schema/kernel-4",
    }
    if work.description:
        attributes["descriptions"] = [{"description": work.description, "descriptionType": "Abstract"}]
    return attributes


def _errors(answer: bytes) -> str:
    try:
        found: Any = json.loads(answer)
        return "; ".join(str(one.get("title", "")) for one in found.get("errors", []))[:300]
    except (ValueError, AttributeError):
        return answer[:200].decode(errors="replace")


def _failed(what: str) -> Unavailable:
    return Unavailable(
        f"DataCite {what}",
        code="doi_failed",
        remedy="Try again; an administrator checks the settings of [doi].",
    )
