"""Lists as Neutron gives them: filters, order and pages, which are the database's work."""

import pytest
from sqlalchemy import event


@pytest.fixture
def five(neutron):
    """A network with five ports, p0 to p4, made in that order."""
    network, subnet = neutron.lab()
    wishes = [
        {"network_id": network["id"], "name": f"p{n}", "description": "odd" if n % 2 else ""}
        for n in range(5)
    ]
    ports = neutron.ok("POST", "ports", {"ports": wishes})["ports"]
    return network["id"], subnet["id"], ports


def names(found):
    return [item["name"] for item in found]


def test_filters_are_alternatives_of_a_value_and_all_hold(neutron, five):
    network, subnet, ports = five
    listed = neutron.list
    assert sorted(names(listed("ports?name=p1&name=p3"))) == ["p1", "p3"]
    assert names(listed("ports?name=p1&name=p2&description=odd")) == ["p1"]
    even = listed(f"ports?network_id={network}&admin_state_up=True&status=DOWN&description=")
    assert sorted(names(even)) == ["p0", "p2", "p4"]
    address = ports[2]["fixed_ips"][0]["ip_address"]
    assert names(listed(f"ports?fixed_ips=ip_address={address}&fixed_ips=subnet_id={subnet}")) == ["p2"]
    assert listed(f"ports?fixed_ips=ip_address={address}&fixed_ips=subnet_id=none") == []
    assert len(listed("ports?fixed_ips=ip_address_substr=10.50.0.")) == 5
    group = ports[0]["security_groups"][0]
    assert len(listed(f"ports?security_groups={group}&network_id={network}")) == 5
    assert listed("ports?security_groups=none") == []
    assert listed("ports?revision_number=99999999999999999999") == []
    assert listed("networks?router:external=True&fields=name") == [{"name": "public"}]
    assert names(listed("subnets?ip_version=4&cidr=10.50.0.0/24")) == [""]


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("foo=1", (400, "HTTPBadRequest", "['foo'] is invalid attribute for filtering")),
        ("admin_state_up=maybe", (400, "InvalidInput", "Invalid input for operation: 'maybe' cannot be converted to boolean.")),
        ("mtu=x", (400, "InvalidInput", "Invalid input for operation: 'x' is not an integer.")),
        ("limit=-1", (400, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not '-1'.")),
        ("marker=nope&limit=1", (404, "NetworkNotFound", "Network nope could not be found.")),
        ("sort_key=name", (400, "HTTPBadRequest", "The number of sort_keys and sort_dirs must be same")),
        ("sort_key=foo&sort_dir=asc", (400, "HTTPBadRequest", "['foo'] is invalid attribute for sort_keys")),
        ("sort_key=name&sort_dir=up", (400, "HTTPBadRequest", "['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'")),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_is_refused_in_neutron_s_words(neutron, query, refusal):
    assert neutron.no("GET", f"networks?{query}") == refusal


def test_a_list_is_sorted_by_several_keys_each_in_its_direction(neutron, five):
    by = "sort_key=description&sort_dir=desc&sort_key=name&sort_dir=asc"
    assert names(neutron.list(f"ports?network_id={five[0]}&{by}")) == ["p1", "p3", "p0", "p2", "p4"]


def follow(neutron, answer, relation):
    href = next(link["href"] for link in answer["ports_links"] if link["rel"] == relation)
    return neutron.ok("GET", href.partition("/v2.0/")[2])


@pytest.mark.parametrize("by", ["", "&sort_key=description&sort_dir=desc&sort_key=name&sort_dir=desc"])
def test_pages_lead_to_each_other_both_ways_and_miss_nothing(neutron, five, by):
    path = f"ports?network_id={five[0]}{by}"
    whole = names(neutron.list(path))
    page = neutron.ok("GET", f"{path}&limit=2")
    pages = [names(page["ports"])]
    while any(link["rel"] == "next" for link in page.get("ports_links", ())):
        last, page = page, follow(neutron, page, "next")
        pages.append(names(page["ports"]))
    assert [name for each in pages for name in each] == whole
    assert (
        pages[0] == names(follow(neutron, follow(neutron, last, "next"), "previous")["ports"])
        or len(pages) == 3
    )
    assert names(follow(neutron, page, "previous")["ports"]) == pages[1]


def test_a_page_reads_no_more_rows_than_it_shows(stage, neutron, five):
    rows = []

    def count(_connection, _cursor, statement, parameters, _context, _many):
        if "FROM cloud_ports" in statement and "LIMIT" in statement:
            rows.append(parameters)

    engine = stage.cloud.network.desk.engine
    event.listen(engine, "before_cursor_execute", count)
    neutron.list("ports?limit=2&name=p0&name=p1&name=p2&name=p3")
    event.remove(engine, "before_cursor_execute", count)
    assert [3 in each for each in rows] == [True], "two, and one to know whether there are more"


def test_fields_are_chosen_and_what_is_not_there_is_left_out(neutron, five):
    assert neutron.list("ports?name=p0&fields=name&fields=nothing") == [{"name": "p0"}]
    shown = neutron.ok("GET", f"ports/{five[2][0]['id']}?fields=name,status")
    assert shown == {"port": {"name": "p0", "status": "DOWN"}}


def test_several_are_made_together_or_none(neutron, five):
    network = five[0]
    wishes = [
        {"network_id": network, "name": "good"},
        {"network_id": network, "fixed_ips": [{"ip_address": "1.1.1.1"}]},
    ]
    assert neutron.no("POST", "ports", {"ports": wishes})[1] == "InvalidIpForNetwork"
    assert neutron.list("ports?name=good") == []


def test_the_owner_of_a_network_sees_what_others_have_on_it(neutron, others, five):
    network = five[0]
    target = others.user.project.id
    neutron.make(
        "rbac_policy",
        object_type="network",
        object_id=network,
        action="access_as_shared",
        target_tenant=target,
    )
    foreign = others.make("port", network_id=network, name="foreign")
    assert names(others.list(f"ports?network_id={network}")) == ["foreign"]
    assert "foreign" in names(neutron.list(f"ports?network_id={network}"))
    assert neutron.cannot_change("port", foreign["id"], name="x")[:2] == (403, "PolicyNotAuthorized")


def test_tags_are_set_looked_for_and_taken_away(neutron, five):
    path = f"ports/{five[2][0]['id']}/tags"
    assert neutron.ok("PUT", path, {"tags": ["a", 'q"uote']}) == {"tags": ["a", 'q"uote']}
    neutron.ok("PUT", f"{path}/b")
    other = f"ports/{five[2][1]['id']}/tags"
    neutron.ok("PUT", other, {"tags": ["b", "uote"]})
    mine = f"ports?network_id={five[0]}"
    for query, found in (
        ("tags=a,b", ["p0"]),
        ("tags-any=a,uote", ["p0", "p1"]),
        ("not-tags=a,b", ["p1", "p2", "p3", "p4"]),
        ("not-tags-any=a,b", ["p2", "p3", "p4"]),
        ("tags-any=a,x&tags=b", ["p0"]),
        ("tags=uote", ["p1"]),
    ):
        assert sorted(names(neutron.list(f"{mine}&{query}"))) == found, query
    assert neutron.call("GET", f"{path}/a").status_code == 204
    neutron.ok("DELETE", f"{path}/a")
    assert neutron.no("GET", f"{path}/a") == (404, "TagNotFound", "Tag a could not be found.")
    assert neutron.no("GET", "networks/nope/tags")[2] == "Resource networks nope could not be found."
    assert neutron.no("PUT", path, {"tags": ["x", "x"]})[2].endswith("Duplicate items in the list: 'x'.")
    neutron.ok("DELETE", path)
    assert neutron.ok("GET", path) == {"tags": []}
