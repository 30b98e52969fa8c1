"""Lists of servers: filters, order, pages, and what they cost."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest
from server_records import BEGAN, SMALL, a_server, record, server_id

from armillary.base.ids import PersonId, ProjectId, Sha512
from armillary.cloud.compute.listing import ServerFilter
from armillary.cloud.compute.model import TaskState, VmState

LIST = "/compute/v2.1/servers"


@pytest.fixture(scope="module")
def zoo(common_stage, common_member_of):
    """Servers of many kinds in one project, and what lists say of them."""
    ada = common_member_of("m51", "ada")
    bob = common_member_of("ngc253", "bob")
    project = ada.project.id
    record(
        common_stage.directory,
        [
            a_server(1, project, name="web-1", tags=("blue", "x"), image_id="image-2"),
            a_server(2, project, name="Web-2", tags=("blue", "red"), locked=True, key_name="desk"),
            a_server(3, project, name="db", vm_state=VmState.STOPPED, flavor=replace(SMALL, id="large")),
            a_server(4, project, name="broken", vm_state=VmState.ERROR, placed=False),
            a_server(5, project, name="again", task_state=TaskState.REBOOTING, tags=('say "hi"',)),
            a_server(6, project, name="new", vm_state=VmState.BUILDING, placed=False, launched_at=None),
            a_server(
                7, project, name="gone", vm_state=VmState.DELETED, placed=False, charged=False,
                deleted_at=BEGAN + timedelta(days=1), updated_at=BEGAN + timedelta(days=1),
            ),
            a_server(8, bob.project.id, name="web-of-bob", user_id=PersonId("bob")),
        ],
    )  # fmt: skip
    return ada


def names(user, query="", version="2.93"):
    return [s["name"] for s in user.at(version).ok("GET", f"{LIST}?{query}")["servers"]]


def refusal(user, query, version="2.93"):
    answer = user.at(version).call("GET", f"{LIST}?{query}")
    (fault,) = answer.json().values()
    return answer.status_code, fault["message"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["new", "again", "broken", "db", "Web-2", "web-1"]),
        ("name=web", ["Web-2", "web-1"]),
        ("name=^db$", ["db"]),
        ("name=web.*[12]", ["Web-2", "web-1"]),
        ("status=ACTIVE", ["again", "Web-2", "web-1"]),
        ("status=active&status=ERROR", ["again", "broken", "Web-2", "web-1"]),
        ("status=REBOOT", ["again"]),
        ("status=BUILD", ["new"]),
        ("flavor=large", ["db"]),
        ("flavor=nope", []),
        ("image=image-2", ["web-1"]),
        ("tags=blue", ["Web-2", "web-1"]),
        ("tags=blue,red", ["Web-2"]),
        ("tags-any=red,x", ["Web-2", "web-1"]),
        ("not-tags=blue,red", ["new", "again", "broken", "db", "web-1"]),
        ("not-tags-any=blue", ["new", "again", "broken", "db"]),
        ("tags=hi", []),
        ("locked=true", ["Web-2"]),
        ("locked=0", ["new", "again", "broken", "db", "web-1"]),
        ("key_name=desk", ["Web-2"]),
        ("vm_state=stopped", ["db"]),
        ("power_state=4", ["db"]),
        ("hostname=vm-3", ["db"]),
        ("reservation_id=r-3", ["db"]),
        ("launched_at=00:00:03", ["db"]),
        ("changes-since=2026-01-01T12:00:00Z", ["gone"]),
        ("changes-before=2026-01-01T00:00:02Z", ["Web-2", "web-1"]),
        ("changes-since=2026-01-01T00:00:02Z&changes-before=2026-01-01T00:00:03Z", ["db", "Web-2"]),
        ("sort_key=display_name&sort_dir=asc", ["Web-2", "again", "broken", "db", "new", "web-1"]),
        ("sort_key=launched_at&sort_dir=asc", ["new", "web-1", "Web-2", "db", "broken", "again"]),
        ("sort_key=vm_state&sort_dir=asc&sort_key=created_at&sort_dir=desc",
         ["again", "Web-2", "web-1", "new", "broken", "db"]),
        ("limit=0", []),
        ("limit=2", ["new", "again"]),
        (f"marker={server_id(3)}", ["Web-2", "web-1"]),
        (f"marker={server_id(3)}&sort_key=created_at&sort_dir=asc", ["broken", "again", "new"]),
        # what only administrators may ask means nothing to others
        ("deleted=true", ["new", "again", "broken", "db", "Web-2", "web-1"]),
        ("host=elsewhere", ["new", "again", "broken", "db", "Web-2", "web-1"]),
        ("user_id=nobody", []),
    ],
)  # fmt: skip
def test_filters_order_and_pages(zoo, query, found):
    assert names(zoo, query) == found


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("limit=-1", 400, "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'"),
        ("limit=x", 400, "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'"),
        ("marker=nope", 400, "marker [nope] not found"),
        ("status=bogus", 400, "Invalid status value"),
        ("status=deleted", 403, "Only administrators may list deleted instances"),
        ("sort_key=host", 403, "Only administrators can sort servers by host"),
        ("sort_dir=up", 400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'"),
        ("changes-since=yesterday", 400,
         "Invalid input for query parameters changes-since. Value: yesterday. 'yesterday' is not a 'date-time'"),
        ("changes-since=2026-01-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z", 400,
         "The value of changes-since must be less than or equal to changes-before."),
        ("name=(", 400, "Invalid input for query parameters name. Value: (. '(' is not a 'regex'"),
        ("tags=", 400, "Invalid input for query parameters tags. Value: . '' is not a 'regex'"),
        ("locked=maybe", 400, ("Unrecognized value 'maybe', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', "
                               "'off', 'on', 't', 'true', 'y', 'yes'")),
        ("all_tenants=1", 403, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed."),
    ],
)  # fmt: skip
def test_refusals_have_nova_s_words(zoo, query, status, words):
    assert refusal(zoo, query) == (status, words)


def test_sort_keys_that_mean_nothing_are_ignored_until_2_74(zoo):
    assert names(zoo, "sort_key=vcpus&limit=1", version="2.74") == ["new"]
    assert refusal(zoo, "sort_key=vcpus")[1].startswith(
        "Invalid input for query parameters sort_key. Value: vcpus. "
    )


def test_unknown_filters_are_refused_since_2_75(zoo):
    assert len(names(zoo, "bogus=1", version="2.74")) == 6
    assert refusal(zoo, "bogus=1")[0] == 400


def test_filters_that_came_later_are_ignored_before(zoo):
    assert len(names(zoo, "tags=blue", version="2.25")) == 6
    assert len(names(zoo, "locked=true", version="2.72")) == 6
    assert len(names(zoo, "changes-before=2026-01-01T00:00:02Z", version="2.65")) == 6
    assert len(names(zoo, "key_name=desk", version="2.82")) == 6
    assert names(zoo, "status=bogus", version="2.37") == []


@pytest.mark.parametrize("pattern", ["(a%2B)%2Bb", "a*a*a*a*b", "(?=a)", "x" * 300])
def test_a_pattern_that_could_run_for_years_is_refused(zoo, pattern):
    status, words = refusal(zoo, f"name={pattern}")
    assert (status, words[:19]) == (400, "This filter is too ")


def test_administrators_list_all_projects_and_what_is_gone(zoo, common_root):
    everybody = "all_tenants=1&"
    assert names(common_root) == []
    assert len(names(common_root, everybody)) == 7
    assert names(common_root, everybody + "deleted=true") == ["gone"]
    assert names(common_root, everybody + "status=deleted") == ["gone"]
    assert names(common_root, everybody + f"project_id={zoo.project.id}&name=web") == ["Web-2", "web-1"]
    assert names(common_root, everybody + "user_id=bob") == ["web-of-bob"]
    assert names(common_root, everybody + "host=armillary&status=SHUTOFF") == ["db"]
    assert names(common_root, everybody + "host=elsewhere") == []
    assert names(common_root, everybody + "sort_key=host&sort_dir=asc&limit=2") == ["broken", "new"]
    assert refusal(common_root, everybody + "metadata=1") == (400, "Invalid filter field: metadata.")
    assert refusal(common_root, everybody + "_x=1") == (400, "Invalid filter field: _x.")


def test_links_lead_through_all_pages(zoo):
    seen, path = [], f"{LIST}/detail?limit=2&status=ACTIVE&sort_key=display_name"
    while path:
        page = zoo.ok("GET", path)
        seen += [server["name"] for server in page["servers"]]
        (link,) = page.get("servers_links", [{"href": ""}])
        path = link["href"].partition("http://cloud.test:9101")[2]
    assert seen == ["web-1", "again", "Web-2"]


def test_another_project_s_server_is_no_marker(zoo):
    assert refusal(zoo, f"marker={server_id(8)}") == (400, f"marker [{server_id(8)}] not found")


def test_ten_thousand_servers_are_listed_page_by_page_in_the_memory_of_one_page(stage, ada):
    record(stage.directory, (a_server(n, ada.project.id, user_data="x" * 1000) for n in range(10_000)))
    lists, who = stage.cloud.compute.lists, stage.accounts.principal(ada.person.id, ada.project.id)
    wanted, seen = ServerFilter(limit=1000), 0
    while wanted is not None:
        names_of_a_page = lists.brief(who, wanted)
        seen += len(names_of_a_page.servers)
        last = names_of_a_page.servers[-1][0]
        wanted = replace(wanted, marker=last) if names_of_a_page.more else None
    assert seen == 10_000

    def peak_of_page(marker):
        """In bytes, of a page of 100 in detail."""
        page = ServerFilter(limit=100, marker=marker)
        lists.full(who, page, user_data=False)  # what is compiled once is not a page's
        tracemalloc.start()
        found = lists.full(who, page, user_data=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found.servers) == 100
        return peak

    first, middle, late = (peak_of_page(marker) for marker in (None, server_id(5000), server_id(101)))
    assert first < 1 << 20
    assert max(middle, late) < 1.2 * first


def test_sizes_and_rests_of_other_projects_never_meet(stage, ada, bob):
    record(
        stage.directory,
        [
            a_server(1, ada.project.id),
            a_server(2, ProjectId("gone"), image_sha512=Sha512("")),
            a_server(3, bob.project.id),
        ],
    )
    assert [s["id"] for s in bob.ok("GET", LIST)["servers"]] == [server_id(3)]
    assert ada.used() == (1, 1, 512)
