"""The short way for files answers as the long one does."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from armillary.app.front import Front


async def _files(request: Request) -> Response:
    return PlainTextResponse(f"files {request.method} {request.url.path}")


async def _node(request: Request) -> Response:
    return PlainTextResponse(f"node {request.path_params['path']}")


async def _other(request: Request) -> Response:
    return PlainTextResponse("other")


SPACE = [
    Route("/vault/files/{path:path}", _files, methods=["GET", "PUT"]),
    Route("/vault/nodes/{path:path}", _node),
    Route("/reg/resource-caps", _other),
]


@pytest.fixture(params=["short", "long"])
def client(request: pytest.FixtureRequest) -> TestClient:
    app = Starlette(routes=[*SPACE, Route("/{path:path}", _other, methods=["GET", "DELETE"])])
    return TestClient(Front(app, SPACE) if request.param == "short" else Starlette(routes=SPACE))


def test_files_and_nodes_are_found(client: TestClient) -> None:
    assert client.get("/vault/files/home/a").text == "files GET /vault/files/home/a"
    assert client.put("/vault/files/x").text == "files PUT /vault/files/x"
    assert client.get("/vault/nodes/home/a").text == "node home/a"
    assert client.get("/reg/resource-caps").text == "other"


def test_other_methods_and_addresses_are_refused(client: TestClient) -> None:
    assert client.delete("/vault/files/home/a").status_code == 405
    assert client.get("/vault/nothing").status_code == 404
    assert client.get("/vault/").status_code == 404


def test_all_other_requests_go_on_to_the_application() -> None:
    client = TestClient(Front(Starlette(routes=[Route("/vaulted", _other)]), SPACE))
    assert client.get("/vaulted").text == "other"
    assert client.get("/reg/resource-caps").status_code == 404
