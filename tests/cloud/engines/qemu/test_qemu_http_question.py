"""What is passed on of a guest's HTTP request."""

import pytest

from armillary.cloud.engines.qemu.http_question import Unclear, read_question, refusal, write_question

FORGED = (
    b"GET /openstack/latest/meta_data.json HTTP/1.1\r\nHost: elsewhere\r\nX-Instance-ID: another\r\n"
    b"x-tenant-id: another\r\nX-INSTANCE-ID-SIGNATURE: guess\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: a=b\r\n"
    b"Accept:  */* \r\nUser-Agent: curl\r\nConnection: keep-alive\r\n\r\n"
)


def passed_on(received: bytes) -> bytes:
    question = read_question(received)
    assert question is not None
    return write_question(question, prefix="/metadata", host="127.0.0.1:1", added={"X-Instance-ID": "me"})


def test_nothing_that_a_guest_says_of_itself_is_passed_on():
    assert passed_on(FORGED) == (
        b"GET /metadata/openstack/latest/meta_data.json HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n"
        b"Content-Length: 0\r\nX-Instance-ID: me\r\naccept: */*\r\nuser-agent: curl\r\n\r\n"
    )


def test_a_request_is_awaited_until_it_is_whole():
    whole = b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 6\r\n\r\nsecret"
    assert [read_question(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    assert passed_on(whole).endswith(b"\r\n\r\nsecret")


def test_what_comes_after_a_request_is_left_out():
    assert passed_on(b"GET / HTTP/1.0\r\n\r\nGET /metadata HTTP/1.1\r\n").count(b"HTTP/1.1") == 1


def test_a_request_that_names_the_whole_address_is_read_by_its_path():
    assert passed_on(b"GET http://169.254.169.254/latest/ HTTP/1.1\r\n\r\n").startswith(
        b"GET /metadata/latest/ HTTP"
    )


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"GET latest HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\nX-Instance-ID: another\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 4097\r\n\r\n", 413),
        (b"GET /" + b"a" * 9000, 431),
    ],
)
def test_what_is_no_request_is_refused(received, status):
    with pytest.raises(Unclear) as caught:
        read_question(received)
    assert str(caught.value).startswith(f"{status} ")
    assert refusal(str(caught.value)).startswith(f"HTTP/1.1 {status} ".encode())
