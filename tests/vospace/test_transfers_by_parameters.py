"""`synctrans` with its transfer in the query, as the clients of the new generation ask."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

QUESTION = {
    "TARGET": "vos://armillary.example~vault/home/ada/x.txt",
    "DIRECTION": "pullFromVoSpace",
    "PROTOCOL": "ivo://ivoa.net/vospace/core#httpsget",
    "SECURITYMETHOD": "ivo://ivoa.net/sso#tls-with-certificate",
}


@pytest.fixture
def asking(http: TestClient) -> TestClient:
    """Ada's client; her file is there."""
    assert http.put("/vault/files/home/ada/x.txt", content=b"1234").status_code == 201
    return http


def test_a_redirect_needs_no_credential_whatever_way_to_sign_in_was_named(
    asking: TestClient, stranger: TestClient
) -> None:
    for headers in ({}, {"content-type": "text/xml"}):  # a client says that it posts XML, and posts nothing
        question = {**QUESTION, "REQUEST": "redirect"}
        answer = asking.post("/vault/synctrans", params=question, headers=headers)
        assert answer.status_code == 303
        assert stranger.get(answer.headers["location"]).content == b"1234"


def test_without_redirect_the_way_to_sign_in_is_kept(asking: TestClient, stranger: TestClient) -> None:
    answer = asking.post("/vault/synctrans", params=QUESTION)
    assert answer.status_code == 200
    assert "/vault/files/home/ada/x.txt</vos:endpoint>" in answer.text
    assert stranger.get("/vault/files/home/ada/x.txt").status_code == 401
