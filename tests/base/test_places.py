"""Where the service goes for a user, and where it does not."""

from __future__ import annotations

import pytest

from armillary.base.errors import Forbidden, Invalid
from armillary.base.places import addresses_of, is_public, open_addresses, place_of


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet_are_closed(address: str) -> None:
    (found,) = addresses_of([address])
    assert not is_public(found)
    with pytest.raises(Forbidden) as refusal:
        open_addresses(place_of("http://x.org/"), [found], [], [])
    assert refusal.value.code == "host_not_allowed"


@pytest.mark.parametrize("address", ["132.246.195.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_open_unless_they_are_our_own(address: str) -> None:
    found = addresses_of([address])
    place = place_of("https://x.org/")
    assert open_addresses(place, found, [], []) == found
    with pytest.raises(Forbidden):
        open_addresses(place, found, found, [])
    assert open_addresses(place, found, found, ["x.org"]) == found


@pytest.mark.parametrize(
    ("entry", "is_open"),
    [
        ("10.1.0.0/16", True),
        ("10.1.2.3", True),
        ("10.1.2.3:8080", True),
        ("10.1.2.3:80", False),
        ("archive.example.org", True),
        ("archive.example.org:8080", True),
        ("archive.example.org:443", False),
        ("example.org", False),
        ("10.2.0.0/16", False),
        ("fd00::/8", False),
    ],
)
def test_an_operator_opens_names_addresses_and_networks(entry: str, is_open: bool) -> None:
    place = place_of("http://archive.example.org:8080/x")
    found = addresses_of(["10.1.2.3"])
    if is_open:
        assert open_addresses(place, found, [], [entry]) == found
    else:
        with pytest.raises(Forbidden):
            open_addresses(place, found, [], [entry])


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://h/x", "file:///etc/passwd", "http://", "http://u:p@h/", "http://h:99999/", "http://h:0/",
     "gopher://h/", "http://h/a b", "http://h/\r\nX: y", "http://h/é", "http://[::1/", "vos://a~b/c"],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        place_of(url)
