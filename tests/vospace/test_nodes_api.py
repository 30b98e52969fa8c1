"""Nodes of VOSpace 2.1 over HTTP: types, properties, names, sharing, quotas and their faults."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from fastapi import FastAPI
from space_talk import CADC, CORE, XML, Talk, node_document, seen, transfer_document, uri
from starlette.testclient import TestClient
from uws_talk import run

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.service import VOSpaceService

TYPES = ["ContainerNode", "DataNode", "UnstructuredDataNode", "StructuredDataNode"]
INHERIT = CADC + "inheritPermissions"
SEEING = "ivo://example.org/tags#seeing"


@pytest.fixture
def ada(http: TestClient) -> Talk:
    return Talk(http)


As = Callable[[str], Talk]


@pytest.fixture
def as_person(app: FastAPI) -> Iterator[As]:
    """Talks as somebody else."""
    with ExitStack() as stack:

        def talk(name: str) -> Talk:
            client = TestClient(app, base_url="https://space:8443", follow_redirects=False)
            client.headers["Authorization"] = f"Bearer {name}"
            stack.callback(client.close)
            return Talk(client)

        yield talk


# -- types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_a_node_is_returned_in_the_type_that_it_was_made(ada: Talk, kind: str) -> None:
    assert ada.make("/home/ada/n", kind).kind == kind
    assert ada.look("/home/ada/n").kind == kind
    assert ada.look("/home/ada").children[0].kind == kind


@pytest.mark.parametrize("kind", ["", "Node"])
def test_a_node_of_no_type_is_made_as_data(ada: Talk, kind: str) -> None:
    assert ada.make("/home/ada/n", kind).kind == "DataNode"


def test_bytes_do_not_change_the_type(ada: Talk) -> None:
    ada.make("/home/ada/n", "StructuredDataNode")
    assert ada.write("/home/ada/n", b"abc") == 201
    assert (ada.look("/home/ada/n").kind, ada.read("/home/ada/n")) == ("StructuredDataNode", b"abc")


def test_a_link_keeps_its_target_which_can_be_changed(ada: Talk) -> None:
    made = ada.make("/home/ada/l", "LinkNode", target="https://example.org/a?b=c&d#e")
    assert made.target == "https://example.org/a?b=c&d#e"
    answer = ada.set("/home/ada/l", {}, "LinkNode", target=uri("/home/ada/other"))
    assert seen(answer.content).target == uri("/home/ada/other")
    assert ada.set("/home/ada/l", {}, "LinkNode", target="file:///etc/passwd").status_code == 400


def test_a_link_on_the_way_is_a_fault_that_names_it(ada: Talk) -> None:
    ada.make("/home/ada/real")
    ada.make("/home/ada/l", "LinkNode", target=uri("/home/ada/real"))
    for answer in (
        ada.put("/home/ada/l/n", node_document("/home/ada/l/n")),
        ada.put("/home/ada/l/m/n", node_document("/home/ada/l/m/n")),
        ada.delete("/home/ada/l/n"),
        ada.set("/home/ada/l/n", {}),
    ):
        assert answer.status_code == 400
        assert answer.text.startswith("LinkFound - /home/ada/l is a link to vos://")


# -- names -----------------------------------------------------------------------------------------------


def test_auto_stands_for_a_new_name(ada: Talk) -> None:
    first = ada.make("/home/ada/.auto", "DataNode")
    second = ada.make("/home/ada/.auto")
    assert ada.look("/home/ada").names == sorted(
        {first.uri.rpartition("/")[2], second.uri.rpartition("/")[2]}
    )
    assert ".auto" not in first.uri


def test_null_takes_everything_and_holds_nothing(ada: Talk, store: MemoryBytes) -> None:
    assert ada.write("/home/ada/.null", b"away") == 201
    assert ada.read("/home/ada/.null") == b""
    assert ada.look("/home/ada/.null").properties[CORE + "length"] == "0"
    assert ada.look("/home/ada").names == []
    assert list(store.published()) == []
    assert ada.look("/home/ada").properties[CORE + "availableSpace"] == str(2**30)


def test_null_of_another_is_closed(ada: Talk) -> None:
    assert ada.write("/home/bob/.null", b"away") == 403
    assert ada.get("/home/bob/.null").status_code == 403


def test_composed_and_decomposed_letters_are_two_names(ada: Talk) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    ada.make(f"/home/ada/{composed}")
    ada.make(f"/home/ada/{decomposed}")
    assert set(ada.look("/home/ada").names) == {composed, decomposed}


def test_blanks_around_a_name_are_its_own(ada: Talk) -> None:
    for name in (" a", "a ", "a", " "):
        assert ada.write(f"/home/ada/{name}", name.encode()) == 201
        assert ada.set(f"/home/ada/{name}", {CORE + "title": "mine"}, "DataNode").status_code == 200
    assert set(ada.look("/home/ada").names) == {" a", "a ", "a", " "}
    document = transfer_document("/home/ada/a ", uri("/home/ada/b "), keep=False)
    assert run(ada.http, "/vault/transfers", document).findtext("{*}phase") == "COMPLETED"
    assert (ada.read("/home/ada/b "), ada.read("/home/ada/a")) == (b"a ", b"a")
    run(ada.http, "/vault/async-delete", target=uri("/home/ada/b "))
    assert set(ada.look("/home/ada").names) == {" a", "a", " "}


def test_a_tree_is_128_names_deep_and_no_deeper(ada: Talk) -> None:
    path = "/home/ada"
    for _ in range(126):
        path += "/d"
        ada.make(path)
    assert ada.put(path + "/d", node_document(path + "/d")).status_code == 400
    assert ada.look(path).names == []
    assert ada.delete("/home/ada/d").status_code == 204


def test_data_can_hold_no_nodes(ada: Talk) -> None:
    ada.make("/home/ada/f", "DataNode")
    answer = ada.put("/home/ada/f/n", node_document("/home/ada/f/n"))
    assert (answer.status_code, answer.text.split()[0]) == (404, "ContainerNotFound")


def test_the_container_that_is_missing_is_the_fault(ada: Talk) -> None:
    for answer in (
        ada.put("/home/ada/no/n", node_document("/home/ada/no/n")),
        ada.delete("/home/ada/no/n"),
        ada.set("/home/ada/no/n", {}),
    ):
        assert (answer.status_code, answer.text.split()[0]) == (404, "ContainerNotFound")
    for answer in (ada.get("/home/ada/no/n"), ada.delete("/home/ada/no"), ada.set("/home/ada/no", {})):
        assert (answer.status_code, answer.text.split()[0]) == (404, "NodeNotFound")


# -- properties ------------------------------------------------------------------------------------------


def test_the_properties_of_the_standard_are_shown(ada: Talk) -> None:
    ada.write("/home/ada/f", b"abc")
    shown = ada.look("/home/ada/f").properties
    names = {name.removeprefix(CORE) for name in shown}
    assert names >= {"date", "btime", "ctime", "mtime", "creator", "length", "MD5", "ispublic", "publicread"}
    assert shown[CORE + "length"] == "3"
    assert {CORE + "quota", CORE + "availableSpace", INHERIT} <= set(ada.look("/home/ada").properties)


def test_only_bytes_move_the_time_of_the_bytes(ada: Talk, clock: VirtualClock) -> None:
    ada.write("/home/ada/f", b"abc")
    before = ada.look("/home/ada/f").properties
    clock.advance(timedelta(minutes=1))
    ada.set("/home/ada/f", {CORE + "title": "a title"})
    after = ada.look("/home/ada/f").properties
    assert after[CORE + "mtime"] == before[CORE + "mtime"]
    assert after[CORE + "ctime"] > before[CORE + "ctime"]
    clock.advance(timedelta(minutes=1))
    ada.write("/home/ada/f", b"abcd")
    assert ada.look("/home/ada/f").properties[CORE + "mtime"] > after[CORE + "ctime"]


def test_properties_are_added_blanked_and_removed(ada: Talk) -> None:
    ada.make("/home/ada/n", properties={SEEING: "0.7", CORE + "description": "mine"})
    ada.set("/home/ada/n", {CORE + "description": ""})
    shown = ada.look("/home/ada/n").properties
    assert (shown[SEEING], shown[CORE + "description"]) == ("0.7", "")
    ada.set("/home/ada/n", {SEEING: None})
    assert SEEING not in ada.look("/home/ada/n").properties


def test_a_whole_node_sent_back_changes_nothing(ada: Talk, as_person: As) -> None:
    ada.make("/home/ada/n", properties={CORE + "groupwrite": "ivo://cadc.nrc.ca/gms?m51", SEEING: "0.7"})
    before = ada.get("/home/ada/n", limit=0).content
    # Neither the owner nor a member, who decides nothing about sharing, is refused.
    for talk in (ada, as_person("bob")):
        answer = talk.http.post("/vault/nodes/home/ada/n", content=before, headers=XML)
        assert (answer.status_code, answer.content) == (200, before)


@pytest.mark.parametrize("name", ["length", "MD5", "creator", "date", "quota", "availableSpace", "btime"])
def test_what_is_read_only_is_not_changed(ada: Talk, name: str) -> None:
    ada.write("/home/ada/f", b"abc")
    answer = ada.set("/home/ada/f", {CORE + name: "7"}, "DataNode")
    assert (answer.status_code, answer.text.split()[0]) == (403, "PermissionDenied")
    document = node_document("/home/ada/g", "DataNode", {CORE + name: "7"})
    answer = ada.put("/home/ada/g", document)
    assert (answer.status_code, answer.text.split()[0]) == (403, "PermissionDenied")


@pytest.mark.parametrize(("name", "other"), [("publicread", "ispublic"), ("ispublic", "publicread")])
def test_a_node_is_opened_to_all_under_either_name(ada: Talk, name: str, other: str) -> None:
    ada.make("/home/ada/n")
    ada.set("/home/ada/n", {CORE + name: "true", CORE + other: "false"})
    assert ada.look("/home/ada/n").properties[CORE + other] == "true"
    ada.set("/home/ada/n", {CORE + other: "true", CORE + name: None})
    assert ada.look("/home/ada/n").properties[CORE + other] == "false"


def test_a_locked_node_keeps_all_but_its_lock(ada: Talk) -> None:
    ada.make("/home/ada/n", properties={SEEING: "0.7"})
    ada.set("/home/ada/n", {CADC + "islocked": "true"})
    answer = ada.set("/home/ada/n", {SEEING: "0.8"})
    assert (answer.status_code, answer.text.split()[0]) == (423, "NodeLocked")
    assert ada.set("/home/ada/n", {CADC + "islocked": None}).status_code == 200
    assert ada.set("/home/ada/n", {SEEING: "0.8"}).status_code == 200


def test_properties_in_use_are_told(ada: Talk) -> None:
    assert SEEING not in ada.http.get("/vault/properties").text
    ada.make("/home/ada/n", properties={SEEING: "0.7"})
    ada.make("/home/ada/m", properties={SEEING: "0.8"})
    contains = ada.http.get("/vault/properties").text.partition("<vos:contains>")[2]
    assert contains.count(SEEING) == 1


# -- sharing ---------------------------------------------------------------------------------------------


def test_new_nodes_are_shared_as_their_container_where_it_says_so(ada: Talk, as_person: As) -> None:
    ada.make("/home/ada/n", properties={CORE + "groupread": "ivo://cadc.nrc.ca/gms?m51"})
    ada.write("/home/ada/n/one", b"1")
    assert as_person("bob").read("/home/ada/n/one") == b"1"
    ada.set("/home/ada/n", {INHERIT: "false"})
    ada.write("/home/ada/n/two", b"2")
    ada.make("/home/ada/n/deep")
    assert as_person("bob").get("/home/ada/n/two").status_code == 403
    assert ada.look("/home/ada/n/deep").properties[INHERIT] == "false"
    assert as_person("bob").look("/home/ada/n").names == ["deep", "one", "two"]


def test_who_leaves_a_group_loses_access_at_once(
    ada: Talk, as_person: As, memberships: dict[str, set[str]]
) -> None:
    ada.make("/home/ada/n", properties={CORE + "groupread": "ivo://cadc.nrc.ca/gms?m51"})
    bob = as_person("bob")
    assert bob.look("/home/ada/n").names == []
    memberships["bob"].clear()
    assert bob.get("/home/ada/n").status_code == 403


# -- quotas ----------------------------------------------------------------------------------------------


def test_an_administrator_sets_the_quota_of_a_home(ada: Talk, as_person: As) -> None:
    root = as_person("root")
    assert root.set("/home/ada", {CORE + "quota": "100"}).status_code == 200
    ada.write("/home/ada/f", b"x" * 60)
    shown = ada.look("/home/ada").properties
    assert (shown[CORE + "quota"], shown[CORE + "availableSpace"]) == ("100", "40")
    assert root.set("/home/ada", {CORE + "quota": "much"}).status_code == 400
    assert root.set("/home/ada/f", {CORE + "quota": "5"}).status_code == 400
    root.set("/home/ada", {CORE + "quota": None})
    assert ada.look("/home/ada").properties[CORE + "quota"] == str(2**30)


def test_over_quota_only_new_bytes_are_refused(ada: Talk, as_person: As) -> None:
    ada.write("/home/ada/f", b"x" * 60)
    as_person("root").set("/home/ada", {CORE + "quota": "10"})
    assert ada.look("/home/ada").properties[CORE + "availableSpace"] == "0"
    assert ada.write("/home/ada/g", b"y") == 413
    assert ada.read("/home/ada/f") == b"x" * 60
    assert ada.make("/home/ada/d").kind == "ContainerNode"
    assert ada.set("/home/ada/f", {CORE + "title": "still here"}, "DataNode").status_code == 200
    assert ada.write("/home/ada/f", b"x" * 50) == 201
    assert ada.delete("/home/ada/f").status_code == 204
    assert ada.write("/home/ada/g", b"y") == 201


def test_over_quota_moving_goes_on(ada: Talk, space: VOSpaceService, root: Principal, as_person: As) -> None:
    ada.write("/home/ada/f", b"x" * 60)
    ada.make("/home/ada/d")
    as_person("root").set("/home/ada", {CORE + "quota": "10"})
    space.move(root, "/home/ada/f", "/home/ada/d/g")
    assert ada.read("/home/ada/d/g") == b"x" * 60
