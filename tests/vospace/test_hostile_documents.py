"""Documents that mean no good: each is answered at once, with its fault, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from httpx2 import Response
from space_talk import CORE, VOS, XML, XSI, Talk, node_document, transfer_document, uri
from starlette.testclient import TestClient

SECONDS = 5.0
"""Far more than any of them takes, far less than one that works would."""


@pytest.fixture
def ada(http: TestClient) -> Talk:
    talk = Talk(http)
    talk.make("/home/ada/n")
    return talk


def laughs(where: str) -> str:
    """A billion laughs, in the text or in an attribute."""
    steps = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    inside = (
        '<vos:property uri="urn:x">&l9;</vos:property>' if where == "text" else '<vos:property uri="&l9;"/>'
    )
    return (
        f'<!DOCTYPE n [<!ENTITY l0 "lol">{steps}]><vos:node xmlns:vos="{VOS}" xmlns:xsi="{XSI}" '
        f'xsi:type="vos:ContainerNode" uri="{uri("/home/ada/n")}"><vos:properties>{inside}</vos:properties></vos:node>'
    )


def doctype(rest: str) -> str:
    return f"<!DOCTYPE n {rest}>" + node_document("/home/ada/n")


def inside(properties: str) -> str:
    return node_document("/home/ada/n").replace("<vos:properties>", f"<vos:properties>{properties}")


DOCUMENTS: dict[str, str | bytes] = {
    "a bomb in text": laughs("text"),
    "a bomb in an attribute": laughs("attribute"),
    "one long entity, many times": doctype(f'[<!ENTITY a "{"a" * 50_000}">]').replace(
        "<vos:properties>", f'<vos:properties><vos:property uri="urn:x">{"&a;" * 50_000}</vos:property>'
    ),
    "a DTD elsewhere": doctype('SYSTEM "http://127.0.0.1:1/x.dtd"'),
    "a DTD that is a file": doctype('SYSTEM "file:///etc/passwd"'),
    "an outside parameter entity": doctype('[<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]'),
    "a DTD in another encoding": doctype("[]").encode("utf-16"),
    "an entity that nobody knows": inside('<vos:property uri="urn:x">&who;</vos:property>'),
    "deep nesting": "<a>" * 100_000,
    "deep nesting, closed": inside("<a>" * 20_000 + "</a>" * 20_000),
    "a huge attribute": inside(f'<vos:property uri="urn:{"x" * 900_000}">1</vos:property>'),
    "a huge value": inside(f'<vos:property uri="urn:x">{"x" * 900_000}</vos:property>'),
    "very many properties": inside(
        "".join(f'<vos:property uri="urn:{n}">1</vos:property>' for n in range(17_000))
    ),
    "very many attributes": inside("<a " + "".join(f"a{n}='' " for n in range(50_000)) + "/>")[:-1],
    "no root": "<?xml version='1.0'?>",
    "nothing": "",
    "not XML": "\x00\x01\x02",
    "not in the encoding that it says": b"<?xml version='1.0' encoding='UTF-8'?><a>\xff</a>",
    "an encoding that nobody knows": b"<?xml version='1.0' encoding='x-no-such'?><a/>",
    "two roots": node_document("/home/ada/n") * 2,
    "another root": f'<vos:container xmlns:vos="{VOS}"/>',
    "no namespace": f'<node uri="{uri("/home/ada/n")}"><properties/></node>',
    "the namespace of 1.0": node_document("/home/ada/n").replace(
        VOS, "http://www.ivoa.net/xml/VOSpaceTypes-v1.0"
    ),
    "the namespace in other letters": node_document("/home/ada/n").replace(VOS, VOS.upper()),
    "a prefix without a namespace": f'<vos:node uri="{uri("/home/ada/n")}"/>',
    "a control character": inside('<vos:property uri="urn:x">&#1;</vos:property>'),
    "a blank in a property's name": inside('<vos:property uri="urn:a b">1</vos:property>'),
    "a property without a name": inside("<vos:property>1</vos:property>"),
}

Send = Callable[[Talk, bytes], Response]
WAYS: dict[str, Send] = {
    "make": lambda ada, body: ada.http.put("/vault/nodes/home/ada/n", content=body, headers=XML),
    "set": lambda ada, body: ada.http.post("/vault/nodes/home/ada/n", content=body, headers=XML),
    "set below": lambda ada, body: ada.http.post("/vault/async-setprops", content=body, headers=XML),
    "negotiate": lambda ada, body: ada.http.post("/vault/synctrans", content=body, headers=XML),
    "transfer": lambda ada, body: ada.http.post("/vault/transfers", content=body, headers=XML),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_is_answered_with_a_fault(ada: Talk, name: str) -> None:
    document = DOCUMENTS[name]
    body = document if isinstance(document, bytes) else document.encode()
    for send in WAYS.values():
        began = time.process_time()
        answer = send(ada, body)
        assert time.process_time() - began < SECONDS
        assert answer.status_code == 400, answer.text[:500]
        assert answer.text.split()[0] in {"InvalidArgument", "TypeNotSupported", "InvalidURI"}
        assert "root:" not in answer.text
        assert len(answer.content) < 2000
    assert ada.look("/home/ada/n").names == []
    assert not [uri for uri in ada.look("/home/ada/n").properties if uri.startswith("urn:")]


def test_a_document_over_a_mebibyte_is_not_read(ada: Talk) -> None:
    for send in WAYS.values():
        assert send(ada, b"<" + b"a" * (1 << 20)).status_code == 413


def test_an_included_file_stays_out(ada: Talk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words")
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://{tmp_path}/secret" parse="text"/>'
    answer = ada.http.post(
        "/vault/nodes/home/ada/n",
        content=inside(f'<vos:property uri="urn:x">{include}</vos:property>'),
        headers=XML,
    )
    assert answer.status_code == 200
    assert "secret words" not in answer.text


@pytest.mark.parametrize("count", [33, 5000])
def test_a_transfer_of_very_many_protocols_is_cut_short(ada: Talk, count: int) -> None:
    ada.write("/home/ada/f", b"abc")
    answer = ada.ask(transfer_document("/home/ada/f", "pullFromVoSpace", *[CORE + "httpsget"] * count))
    assert answer.status_code == 303
    assert ada.http.get(answer.headers["location"]).text.count("<vos:endpoint>") <= 32


@pytest.mark.parametrize(
    "name",
    [
        '"><x y="1">',
        "]]>",
        "<!--",
        "&lt;&amp;",
        "'\"",
        "a\u2028b",
        "\u202ecod.exe",
        "\ufeff",
        "𝄞",
        "%00",
        "a%2Fb",
    ],
)
def test_names_that_look_like_markup_come_back_whole(ada: Talk, name: str) -> None:
    assert ada.write(f"/home/ada/n/{name}", b"abc") == 201
    (child,) = ada.look("/home/ada/n").children
    assert child.uri.endswith("/" + name.replace("%", "%25"))
    assert ada.read(f"/home/ada/n/{name}") == b"abc"
    assert ada.delete(f"/home/ada/n/{name}").status_code == 204
