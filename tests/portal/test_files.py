from __future__ import annotations

import hashlib
import io
import re
import tracemalloc
import zipfile
from urllib.parse import quote

import pytest
from portal_visitor import PASSWORD, Browser

from armillary.accounts.model import Principal
from armillary.accounts.service import AccountsService
from armillary.portal.pages import shared
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.freezing import Freezing
from armillary.vospace.service.packages import Packages


def test_a_home_is_there_at_the_first_look(ada: Browser) -> None:
    page = ada.get("/files")
    assert "This folder is empty." in page
    assert "of 1 GiB" in page
    assert page.count('action="/files/home/ada"') == 3


def test_files_are_uploaded_listed_and_downloaded(ada: Browser) -> None:
    ada.get("/files")
    files = [("files", ("m51 <b>.fits", b"SIMPLE  =")), ("files", ("b.txt", b"text"))]
    page = ada.post("/files/home/ada", {"action": "upload"}, files=files)
    assert "m51 &lt;b&gt;.fits" in page
    assert hashlib.md5(b"SIMPLE  =").hexdigest() in page
    reply = ada.client.get("/files/home/ada/m51%20%3Cb%3E.fits?download=1")
    assert reply.content == b"SIMPLE  ="
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-security-policy"] == "sandbox"


def test_fits_files_have_a_picture_that_comes_when_it_is_seen_and_others_have_not(ada: Browser) -> None:
    ada.get("/files")
    files = [("files", ("m51 a.fits", b"SIMPLE  =")), ("files", ("b.txt", b"text"))]
    page = ada.post("/files/home/ada", {"action": "upload"}, files=files)
    picture = (
        'src="/thumbnail/home/ada/m51%20a.fits?of=07d776546b12" alt="" width="48" height="48" loading="lazy"'
    )
    assert picture in page
    assert 'href="/view/home/ada/m51%20a.fits"' in page
    assert "b.txt?" not in page


def test_folders_are_made_and_things_move_are_copied_and_renamed(ada: Browser) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "mkdir", "name": "catalogues"})
    ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("a.cat", b"1"))])
    ada.post("/files/home/ada/a.cat", {"action": "move", "to": "/home/ada/catalogues"})
    assert "a.cat" in ada.get("/files/home/ada/catalogues")
    ada.post("/files/home/ada/catalogues/a.cat", {"action": "move", "to": "b.cat"})
    page = ada.post("/files/home/ada/catalogues/b.cat", {"action": "copy", "to": "c.cat"})
    assert "b.cat" in page
    assert "c.cat" in page


def test_what_was_deleted_is_put_back_by_one_button(ada: Browser) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "mkdir", "name": "run"})
    ada.post("/files/home/ada/run", {"action": "upload"}, files=[("files", ("a.cat", b"1"))])
    page = ada.post("/files/home/ada/run", {"action": "delete"})
    assert "It is in the bin now." in page
    assert ">run</bdi>" not in page
    [binned] = re.findall(r'name="id" value="([^"]+)"', page)
    assert "/home/ada/run" in ada.get("/files/home/ada/.bin")
    page = ada.post("/files/home/ada", {"action": "restore", "id": binned})
    assert ">run</bdi>" in page
    assert "a.cat" in ada.get("/files/home/ada/run")


def test_the_bin_is_emptied(ada: Browser) -> None:
    ada.get("/files")
    files = [("files", ("a.cat", b"1")), ("files", ("b.cat", b"1"))]
    ada.post("/files/home/ada", {"action": "upload"}, files=files)
    page = ada.post("/files/home/ada", {"action": "delete", "many": "1", "name": "a.cat"})
    assert "b.cat" in page
    page = ada.post("/files/home/ada", {"action": "empty"})
    assert "Undo" not in page
    assert "The bin is empty." in ada.get("/files/home/ada?notice=bin-emptied")


def test_nothing_is_overwritten_that_was_not_meant(ada: Browser) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("a.cat", b"old"))])
    ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("a.cat", b"new"))], status=412)
    assert ada.client.get("/files/home/ada/a.cat?download=1").content == b"old"
    ada.post("/files/home/ada", {"action": "upload", "replace": "yes"}, files=[("files", ("a.cat", b"new"))])
    assert ada.client.get("/files/home/ada/a.cat?download=1").content == b"new"


def test_a_long_folder_comes_in_pages_sorted_and_filtered_by_the_address(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    for number in range(205):
        vospace.put_bytes(who, f"/home/ada/f{number:03}", [b"x" * number])
    page = ada.get("/files/home/ada")
    assert ">f199</bdi>" in page
    assert ">f200</bdi>" not in page
    assert 'href="/files/home/ada?start=f200"' in page
    assert ">f204</bdi>" in ada.get("/files/home/ada?start=f200")
    page = ada.get("/files/home/ada?sort=size&down=1")
    assert page.index(">f204</bdi>") < page.index(">f203</bdi>")
    assert 'aria-sort="descending"' in page
    page = ada.get("/files/home/ada?match=F10")
    assert page.count("<bdi>f10") == 10
    assert "<bdi>f011" not in page
    assert "Nothing has this in its name." in ada.get("/files/home/ada?match=%25")
    ada.get("/files/home/ada?sort=colour", status=400)


def test_hostile_names_are_only_ever_text(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    names = [
        "<script src=x>",
        '" onload="x',
        "'&amp;",
        "x" * 251 + ".txt",
        "\u202egnp.exe",
        "a?b#c%",
    ]
    for name in names:
        vospace.put_bytes(who, VOSPath(("home", "ada", name)), [b"text"])
    page = ada.get("/files/home/ada")
    assert "<script src=x" not in page
    assert 'onload="x' not in page
    assert "\u202e" not in page.replace('value="\u202egnp.exe"', "")
    assert "‹U+202E›gnp.exe" in page
    for name in names:
        address = "/files/home/ada/" + quote(name, safe="")
        assert "<script src=x" not in ada.get(address)
        reply = ada.client.get(f"{address}?download=1")
        assert reply.content == b"text"
        assert "\n" not in reply.headers["content-disposition"]
    for path in ("/files/home/ada/%2e%2e", "/files/home/ada/a%00b"):
        assert ada.client.get(path).status_code in (400, 404)
    ada.post("/files/home/ada", {"action": "mkdir", "name": ".."}, status=400)


def test_many_files_come_as_one_zip(ada: Browser) -> None:
    ada.get("/files")
    files = [("files", (f"{number}.txt", b"%d" % number)) for number in range(5)]
    ada.post("/files/home/ada", {"action": "upload"}, files=files)
    data = {"csrf": ada.token(), "action": "zip", "many": "1", "name": ["1.txt", "3.txt"]}
    reply = ada.client.post("/files/home/ada", data=data)
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"1.txt": b"1", "3.txt": b"3"}
    assert reply.headers["content-disposition"].startswith("attachment")


def test_a_zip_of_a_thousand_files_takes_little_memory(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    vospace.make_container(who, "/home/ada/run")
    vospace.put_bytes(who, "/home/ada/run/0", [b"x" * 200_000])
    for number in range(1, 1000):
        vospace.copy(who, "/home/ada/run/0", f"/home/ada/run/{number}")
    data = {"csrf": ada.token(), "action": "zip"}
    packages = Packages(space=vospace)
    asker = vospace.access.asker(who)
    tracemalloc.start()
    length = sum(map(len, packages.open(asker, [VOSPath.parse("/home/ada/run")], "zip")))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 200_000_000
    assert most < 8_000_000
    with ada.client.stream("POST", "/files/home/ada/run", data=data) as reply:
        assert reply.headers["content-type"] == "application/zip"


def test_properties_and_access_are_changed(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("a.cat", b"1"))])
    there = "/files/home/ada/a.cat"
    page = ada.post(there, {"action": "properties", "property": "title", "value": "<b>M51</b>"})
    assert "&lt;b&gt;M51&lt;/b&gt;" in page
    ada.post(there, {"action": "properties", "property": "length", "value": "7"}, status=403)
    page = ada.post(there, {"action": "share", "readers": "galaxies", "public": "yes"})
    node = vospace.node(Principal(person=accounts.person_named("ada")), "/home/ada/a.cat")
    assert (node.sharing.group_read, node.sharing.is_public) == (frozenset({"galaxies"}), True)
    assert "public" in page
    ada.post(there, {"action": "share", "readers": "no group at all?"}, status=400)
    ada.post(there, {"action": "lock"})
    ada.post(there, {"action": "delete"}, status=409)
    ada.post(there, {"action": "unlock"})
    ada.post(there, {"action": "delete"})


def test_what_fills_a_folder_is_shown_the_largest_first(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    for name, size in (("small", 1), ("large", 3)):
        vospace.make_container(who, f"/home/ada/{name}")
        for number in range(size):
            vospace.put_bytes(who, f"/home/ada/{name}/{number}", [b"x" * 1000])
    page = ada.get("/files/home/ada?weights=1")
    assert page.index("large</bdi>") < page.index("small</bdi>")
    assert "4 nodes" in page


def test_a_nearly_full_home_says_what_to_delete_and_lets_it_be_deleted(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    vospace.put_bytes(who, "/home/ada/a.cat", [b"x"])
    with vospace.records.writing() as tree:
        tree.charge(tree.walk(VOSPath(("home", "ada")))[-1], 2**30 - 1)
    page = ada.get("/files/home/ada")
    assert "nearly full" in page
    assert 'hx-get="/files/home/ada?weights=1"' in page
    full = ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("b.cat", b"xx"))], status=403)
    assert "/home/ada is full" in full
    assert "Delete a machine" not in full
    assert 'href="/files/home/ada/a.cat"' in full
    assert 'href="/applications/more?figure=storage&amp;project=galaxies"' in full
    ada.language = "fr"
    assert "/home/ada est plein" in ada.post(
        "/files/home/ada", {"action": "upload"}, files=[("files", ("b.cat", b"xx"))], status=403
    )
    ada.language = "en"
    ada.post("/files/home/ada/a.cat", {"action": "delete"})
    ada.post("/files/home/ada", {"action": "empty"})
    assert "The bin is empty." in ada.get("/files/home/ada/.bin")


def test_what_is_frozen_says_for_which_cluster(
    ada: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    vospace.make_container(who, "/home/ada/kept")
    Freezing(space=vospace).freeze(who, VOSPath.parse("/home/ada/kept"), "7")
    assert "/home/ada/kept is kept as it is for cluster 7." in ada.post(
        "/files/home/ada/kept", {"action": "delete"}, status=409
    )
    ada.language = "fr"
    assert "conservé tel quel pour le lot 7" in ada.post(
        "/files/home/ada/kept", {"action": "delete"}, status=409
    )


def test_what_is_taken_or_missing_is_said(ada: Browser) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "mkdir", "name": "x"})
    assert "/home/ada/x exists already." in ada.post(
        "/files/home/ada", {"action": "mkdir", "name": "x"}, status=409
    )
    ada.get("/files/home/ada/nothing", status=404)


def test_a_foreign_home_is_closed(ada: Browser, accounts: AccountsService) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("secret.txt", b"1"))])
    accounts.create_person(user_name="eve", password=PASSWORD)
    ada.post("/sign-out")
    ada.sign_in("eve")
    for path in ("/files/home/ada", "/files/home/ada/secret.txt"):
        assert ada.client.get(path).status_code in (403, 404)
    reply = ada.client.post("/files/home/ada/secret.txt", data={"csrf": ada.token(), "action": "delete"})
    assert reply.status_code in (403, 404)


def test_members_of_a_project_find_what_was_shared_with_it(
    ada: Browser, admin: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    boss = accounts.person_named("admin")
    vospace.ensure_home(boss)
    who = Principal(person=boss)
    vospace.make_container(who, "/home/admin/<team>", Change(group_write=frozenset({"galaxies"})))
    mine = admin.get("/shares")
    assert "/home/admin/&lt;team&gt;" in mine
    assert "galaxies" in mine
    ada.post("/sign-out")
    ada.sign_in("ada")
    assert "team" not in ada.get("/shares"), "another's is not mine"
    page = ada.get("/shared")
    assert "/home/admin/&lt;team&gt;" in page
    assert 'href="/files/home/admin/%3Cteam%3E"' in page
    assert "galaxies" in page


def test_what_was_shared_comes_in_pages_and_what_is_one_s_own_takes_no_place_in_them(
    ada: Browser,
    admin: Browser,
    vospace: VOSpaceService,
    accounts: AccountsService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared, "SHOWN", 3)
    boss, me = accounts.person_named("admin"), accounts.person_named("ada")
    shares = Change(group_read=frozenset({"galaxies"}))
    for person, count in ((me, 4), (boss, 5)):
        vospace.ensure_home(person)
        for number in range(count):
            there = f"/home/{person.user_name}/f{number}"
            vospace.make_container(Principal(person=person), there, shares)
    mine = admin.get("/shares")
    assert [name in mine for name in ("/f0<", "/f1<", "/f2<", "/f3<")] == [True, True, True, False]
    following = re.search(r'rel="next" href="([^"]+)"', mine)
    assert following
    assert "/home/admin/f4<" in admin.get(following[1])
    ada.post("/sign-out")
    ada.sign_in("ada")
    page = ada.get("/shared")
    assert re.findall(r"<bdi>([^<]+)</bdi>", page) == [f"/home/admin/f{number}" for number in range(3)]
    following = re.search(r'rel="next" href="(/shared\?start=\d+)"', page)
    assert following
    last = ada.get(following[1])
    assert re.findall(r"<bdi>([^<]+)</bdi>", last) == ["/home/admin/f3", "/home/admin/f4"]
    assert 'rel="next"' not in last
    assert 'rel="prev" href="/shared"' in last
    ada.get("/shared?start=-1", status=400)
