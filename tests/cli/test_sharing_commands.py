"""`armillary share` against a platform."""

from __future__ import annotations

from terminal import Terminal
from whole_platform import WholePlatform


def test_a_link_is_made_listed_and_revoked(vera: Terminal, platform: WholePlatform) -> None:
    platform.space.ensure_home(platform.vera)
    who = platform.accounts.principal(platform.vera.id)
    platform.space.put_bytes(who, "/home/vera/m33.fits", [b"pixels"])
    made = vera.json("share", "make", "/home/vera/m33.fits", "--days", "2", "--most", "5")
    assert made["url"] == f"{platform.url}/s/{made['url'].rpartition('/')[2]}"
    secret = made["url"].rpartition("/")[2]
    assert platform.links.look(secret)[1].name == "m33.fits"
    assert "0 of 5" in vera("share", "list").stdout
    assert vera("share", "make", "vos:home/vera/m33.fits", "--quiet").stdout.startswith(platform.url)
    vera("share", "revoke", made["id"])
    assert [one["is_open"] for one in vera.json("share", "list") if one["id"] == made["id"]] == [False]
    assert "does not exist" in vera("share", "make", "/home/vera/nothing", status=1).stderr
    assert vera("share", "make", "/home/vera/m33.fits", "--days", "0", status=2).stdout == ""
