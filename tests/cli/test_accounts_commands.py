"""From registration to a project, and what an administrator does with it."""

from __future__ import annotations

from terminal import Terminal
from whole_platform import PASSWORD, WholePlatform


def sign_in(terminal: Terminal, platform: WholePlatform, user: str, password: str) -> None:
    terminal("login", user, "--url", platform.url, "--password-stdin", stdin=password + "\n")


def register(terminal: Terminal, platform: WholePlatform, user: str, project: str) -> str:
    import os

    os.environ["ARMILLARY_URL"] = platform.url
    try:
        made = terminal(
            "register", user, "--name", "Kent Ford", "--email", f"{user}@example.org", "--institute", "DTM",
            "--project", project, "--cores", "8", "--ram", "16GiB", "--reason", "Spectra", "--password-stdin", "--quiet",
            stdin=PASSWORD + "\n",
        )  # fmt: skip
    finally:
        del os.environ["ARMILLARY_URL"]
    return made.stdout.strip()


def test_a_request_is_approved_with_changed_figures_and_its_applicant_sees_it(
    terminal: Terminal, platform: WholePlatform
):
    application = register(terminal, platform, "kent", "spectra")
    sign_in(terminal, platform, "admin", platform.administrator_password)
    waiting = terminal.json("admin", "applications", "--state", "waiting")
    assert application in [one["id"] for one in waiting]
    approved = terminal.json("admin", "approve", application, "--cores", "4", "--batch-cores", "2")
    assert approved["granted"]["cores"] == 4
    assert approved["granted"]["ram_mib"] == 16384
    sign_in(terminal, platform, "kent", PASSWORD)
    shown = terminal("application").stdout
    assert "approved" in shown
    assert "4 cores, 16 GiB RAM" in shown
    assert terminal.json("project", "list")[0]["role"] == "admin"


def test_an_allocation_is_changed_by_an_administrator_alone(terminal: Terminal, platform: WholePlatform):
    application = register(terminal, platform, "leavitt", "cepheids")
    sign_in(terminal, platform, "admin", platform.administrator_password)
    terminal("admin", "approve", application)
    before = terminal.json("project", "show", "cepheids")["allocation"]
    after = terminal.json("admin", "allocate", "cepheids", "--batch-cores", "64", "--ram", "32GiB")[
        "allocation"
    ]
    assert after == {**before, "batch_cores": 64, "ram_mib": 32768}
    sign_in(terminal, platform, "leavitt", PASSWORD)
    refused = terminal("admin", "allocate", "cepheids", "--cores", "400", status=4)
    assert "Only an administrator" in refused.stderr
    assert terminal.json("project", "show", "cepheids")["allocation"] == after


def test_a_request_is_declined_with_a_reason(terminal: Terminal, platform: WholePlatform):
    application = register(terminal, platform, "jan", "oort")
    sign_in(terminal, platform, "admin", platform.administrator_password)
    terminal("admin", "decline", application, "--reason", "Please join rotation.")
    sign_in(terminal, platform, "jan", PASSWORD)
    assert "Please join rotation." in terminal("application").stdout
    assert "no project yet" in terminal("project", "list").stderr


def test_who_is_no_administrator_is_refused_with_status_4(vera: Terminal):
    result = vera("project", "list", "--all", status=4)
    assert "administrator" in result.stderr


def test_tokens_are_made_listed_and_revoked(vera: Terminal):
    made = vera.json("token", "create", "--label", "pipeline", "--days", "3")
    assert made["token"]
    assert made["id"] in vera("token", "list", "--quiet").stdout.split()
    vera("token", "revoke", made["id"])
    (revoked,) = [one for one in vera.json("token", "list") if one["id"] == made["id"]] or [
        {"revoked_at": "gone"}
    ]
    assert revoked["revoked_at"]


def test_an_image_of_any_cloud_is_listed(vera: Terminal, platform: WholePlatform):
    (image,) = [one for one in vera.json("image", "list") if one["name"] == "my-snapshot"]
    assert (image["cloud"], image["sha512"]) == ("east", platform.image.sha512)
    assert "my-snapshot" in vera("image", "list").stdout
