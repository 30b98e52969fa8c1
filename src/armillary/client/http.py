"""JSON over HTTP to the platform, with its refusals as exceptions."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import httpx2

from armillary.base.errors import Invalid
from armillary.client.errors import ClientError, Unreachable

_CHUNK = 1 << 18
Meet = Callable[[Mapping[str, str]], Callable[[int], None]]
_PART, _NO_SUCH_RANGE = 206, 416


class Armillary:
    """A connection to one platform as one person.

    Every method raises ClientError for a refusal and Unreachable when there is no answer.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str | None = None,
        ca_file: str | None = None,
        timeout: float = 60.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.ca_file = ca_file
        if not self.url.startswith(("http://", "https://")):
            raise Invalid(f"not an address: {url}", code="bad_url", remedy="Write it like https://HOST:8443.")
        headers = {"Accept": "application/json", "User-Agent": "armillary"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            verify=trust(ca_file) if self.url.startswith("https:") and not transport else True,
            transport=transport,
            # the platform is named explicitly; a proxy for the wide world does not know it
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """GET and return the JSON answer; parameters that are None are left out."""
        return self._json("GET", path, params=_given(query))

    def get_pages(self, path: str, name: str, **query: Any) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        """GET a list page by page; return all that is under `name`, and the last answer with what else it says."""
        found: list[dict[str, Any]] = []
        marker: str | None = None
        while True:
            told: dict[str, Any] = self.get(path, **query, marker=marker)
            found += told[name]
            marker = told["next"]
            if marker is None:
                return found, told

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Any:
        """POST JSON and return the JSON answer, for which we wait `patience` seconds."""
        options: dict[str, Any] = {} if patience is None else {"timeout": patience}
        return self._json("POST", path, json=body, headers=headers, **options)

    def put(self, path: str, body: Any) -> Any:
        """PUT JSON and return the JSON answer."""
        return self._json("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change what is given."""
        return self._json("PATCH", path, json=body)

    def delete(self, path: str) -> None:
        """DELETE."""
        self._json("DELETE", path)

    def send_file(self, path: str, file: Path) -> None:
        """PUT the bytes of a file, streamed."""

        def chunks() -> Iterator[bytes]:
            with file.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    yield chunk

        self.send_chunks(path, chunks(), file.stat().st_size)

    def send_chunks(
        self, path: str, chunks: Iterator[bytes], size: int, *, patience: float | None = None, **query: Any
    ) -> Any:
        """PUT `size` bytes, streamed, and return the JSON answer, for which we wait `patience` seconds."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        options: dict[str, Any] = {} if patience is None else {"timeout": patience}
        return self._json("PUT", path, content=chunks, headers=headers, params=_given(query), **options)

    def read_bytes(self, path: str, **query: Any) -> tuple[bytes, Mapping[str, str]]:
        """GET a small answer as bytes, with its headers."""
        response = self._request("GET", path, params=_given(query))
        return response.content, response.headers

    def receive_file(self, path: str, into: BinaryIO, *, meet: Meet | None = None, **query: Any) -> str:
        """GET bytes into a file, streamed, from where the file ends on; return the SHA-256 of the whole file.

        `meet` is shown the headers before anything is written, and returns who is told of each piece's length.
        """
        into.seek(0)
        digest = hashlib.sha256()
        while chunk := into.read(_CHUNK):
            digest.update(chunk)
        have = into.tell()
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            with self._http.stream("GET", path, headers=headers, params=_given(query)) as response:
                if have and response.status_code == _NO_SUCH_RANGE:
                    return digest.hexdigest()  # it was whole
                if response.status_code >= 400:
                    response.read()
                    raise refusal(response)
                if have and response.status_code != _PART:
                    into.seek(0)
                    into.truncate()
                    digest = hashlib.sha256()
                tell = meet(response.headers) if meet else None
                for chunk in response.iter_bytes(_CHUNK):
                    digest.update(chunk)
                    into.write(chunk)
                    if tell:
                        tell(len(chunk))
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        return digest.hexdigest()

    def _json(self, method: str, path: str, **options: Any) -> Any:
        response = self._request(method, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise ClientError(
                f"{self.url}{path} answered with something that is no JSON",
                code="not_json",
                answered=response.status_code,
                remedy="Is this the address of an Armillary platform? See: armillary login --url.",
            ) from error

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise refusal(response)
        return response

    def _unreachable(self, error: Exception) -> Unreachable:
        text = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
            return Unreachable(
                f"the certificate of {self.url} is signed by nobody that you trust",
                code="untrusted_certificate",
                remedy="Sign in with --ca FILE, or with --trust to see its fingerprint and accept it.",
            )
        return Unreachable(
            f"no answer from {self.url}: {text}",
            remedy="Is the platform running (armillary status), and is the address right (armillary login --url)?",
        )


def trust(ca_file: str | None) -> ssl.SSLContext:
    """Return what decides whom we trust: the system's authorities, or `ca_file` alone."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"cannot use {ca_file} as a certificate authority: {error}",
            code="bad_ca",
            remedy="Give the platform's CA in PEM form: armillary login --ca FILE.",
        ) from error
    if ca_file:  # it may be the server's own certificate, accepted by its fingerprint
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def refusal(response: httpx2.Response) -> ClientError:
    """Return the refusal in an answer, whether it has our shape or not."""
    status = response.status_code
    try:
        body: Any = response.json()
    except ValueError:
        body = None
    found: Any = cast("dict[str, Any]", body).get("error") if isinstance(body, dict) else None
    if not isinstance(found, dict):
        return ClientError(
            f"the platform answered {status} {response.reason_phrase}", code=f"http_{status}", answered=status
        )
    error = cast("dict[str, Any]", found)
    remedy = str(error.get("remedy") or "")
    if status == 401 and error.get("code") in {
        "no_credentials",
        "bad_token",
        "unauthorized",
        "token_expired",
    }:
        remedy = "Sign in: armillary login"
    return ClientError(
        str(error.get("message") or response.reason_phrase),
        code=str(error.get("code") or f"http_{status}"),
        answered=status,
        remedy=remedy,
        facts=error.get("facts") or {},
    )


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
