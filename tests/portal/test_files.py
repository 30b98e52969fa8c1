from __future__ import annotations

import hashlib

from portal_visitor import PASSWORD, Browser

from armillary.accounts.service import AccountsService


def test_a_home_is_there_at_the_first_look(ada: Browser) -> None:
    page = ada.get("/files")
    assert "This folder is empty." in page
    assert "of 1 GiB" in page
    assert page.count('action="/files/home/ada"') == 2


def test_files_are_uploaded_listed_and_downloaded(ada: Browser) -> None:
    ada.get("/files")
    files = [("files", ("m51 <b>.fits", b"SIMPLE  =")), ("files", ("b.txt", b"text"))]
    page = ada.post("/files/home/ada", {"action": "upload"}, files=files)
    assert "m51 &lt;b&gt;.fits" in page
    assert hashlib.md5(b"SIMPLE  =").hexdigest() in page
    reply = ada.client.get("/files/home/ada/m51%20%3Cb%3E.fits")
    assert reply.content == b"SIMPLE  ="
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-security-policy"] == "sandbox"


def test_fits_files_have_a_picture_and_headers_and_others_have_not(ada: Browser) -> None:
    ada.get("/files")
    files = [("files", ("m51 a.fits", b"SIMPLE  =")), ("files", ("b.txt", b"text"))]
    page = ada.post("/files/home/ada", {"action": "upload"}, files=files)
    assert 'src="/arc/files/home/ada/m51%20a.fits?PREVIEW=thumbnail" alt="Picture of m51 a.fits"' in page
    assert 'href="/arc/files/home/ada/m51%20a.fits?META=true"' in page
    assert "b.txt?" not in page.replace("/files/home/ada/b.txt?ask=delete", "")


def test_folders_are_made_and_things_move_and_go(ada: Browser) -> None:
    ada.get("/files")
    ada.post("/files/home/ada", {"action": "mkdir", "name": "catalogues"})
    ada.post("/files/home/ada", {"action": "upload"}, files=[("files", ("a.cat", b"1"))])
    ada.post("/files/home/ada/a.cat", {"action": "move", "to": "/home/ada/catalogues"})
    assert "a.cat" in ada.get("/files/home/ada/catalogues")
    ada.post("/files/home/ada/catalogues/a.cat", {"action": "move", "to": "b.cat"})
    assert "b.cat" in ada.get("/files/home/ada/catalogues")
    assert "with everything in it" in ada.get("/files/home/ada/catalogues?ask=delete")
    ada.post("/files/home/ada/catalogues", {"action": "delete"})
    assert "This folder is empty." in ada.get("/files/home/ada")


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
