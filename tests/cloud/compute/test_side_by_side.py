"""Many at once: order for one server, no server twice, no quota and no address over-spent."""

import threading
from concurrent.futures import ThreadPoolExecutor

from armillary.cloud.compute.strands import Strands


def test_jobs_of_one_key_run_in_order_and_never_overlap():
    strands, seen, inside = Strands(quick=4, slow=2), [], []

    def job(number):
        inside.append(number)
        assert len(inside) == 1
        seen.append(number)
        inside.clear()

    for number in range(50):
        strands.submit("a", lambda number=number: job(number), slow=number % 2 == 0)
    assert strands.settle(seconds=60)
    assert seen == list(range(50))
    strands.close()


def test_jobs_of_different_keys_run_side_by_side():
    strands, meet = Strands(quick=2, slow=1), threading.Barrier(2, timeout=60)
    strands.submit("a", meet.wait)
    strands.submit("b", meet.wait)
    assert strands.settle(seconds=60)
    assert not meet.broken
    strands.close()


def test_a_job_that_fails_does_not_stop_the_next_one():
    strands, seen = Strands(quick=1, slow=1), []
    strands.submit("a", lambda: 1 // 0)
    strands.submit("a", lambda: seen.append("next"))
    assert strands.settle(seconds=60)
    assert seen == ["next"]
    strands.close()


def test_closing_does_not_wait_for_what_takes_long():
    strands, gate = Strands(quick=1, slow=1), threading.Event()
    strands.submit("a", gate.wait, slow=True)
    strands.close(seconds=0.01)
    assert strands.busy("a")
    gate.set()


def test_nothing_of_a_key_begins_while_it_is_held_and_others_run():
    strands, seen = Strands(quick=2, slow=1), []
    with strands.holding("a"):
        strands.submit("a", lambda: seen.append("a"))
        assert strands.do("b", lambda: seen.append("b"), seconds=60)
        assert strands.busy("a")
        assert seen == ["b"]
    assert strands.settle(seconds=60)
    assert seen == ["b", "a"]
    strands.close()


def test_who_waits_for_a_job_is_told_if_it_takes_too_long():
    strands, gate = Strands(quick=1, slow=1), threading.Event()
    assert not strands.do("a", gate.wait, seconds=0.01)
    gate.set()
    assert strands.settle(seconds=60)
    strands.close()


def test_a_job_that_waits_is_told_when_the_platform_ends():
    strands, told = Strands(quick=1, slow=1), []
    strands.submit("a", lambda: told.append(strands.pause(60)))
    strands.close(seconds=60)
    assert told == [False]


def test_requests_at_the_same_time_do_not_exceed_the_quota(stage, ada):
    image = ada.image()
    body = {"server": {"name": "x", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "auto"}}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ada.call("POST", "/compute/v2.1/servers", body), range(8)))
    stage.settle()
    assert sorted(answer.status_code for answer in answers) == [202] * 4 + [403] * 4
    servers = ada.ok("GET", "/compute/v2.1/servers/detail")["servers"]
    assert [server["status"] for server in servers] == ["ACTIVE"] * 4
    assert len({server["addresses"]["m51-net"][0]["addr"] for server in servers}) == 4


def test_floating_ips_taken_at_the_same_time_all_differ(ada):
    public = ada.ok("GET", "/network/v2.0/networks?router:external=True")["networks"][0]["id"]
    wish = {"floatingip": {"floating_network_id": public}}
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ada.ok("POST", "/network/v2.0/floatingips", wish), range(8)))
    assert len({answer["floatingip"]["floating_ip_address"] for answer in made}) == 8


def test_two_deletions_and_a_stop_at_the_same_time_end_in_one_deletion(stage, ada):
    server_id = ada.up()
    url = f"/compute/v2.1/servers/{server_id}"
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(ada.call, "DELETE", url),
            pool.submit(ada.act, server_id, "os-stop"),
            pool.submit(ada.call, "DELETE", url),
        ]
    assert {job.result().status_code for job in jobs} <= {202, 204, 404, 409}
    stage.settle()
    assert ada.call("GET", url).status_code == 404
    assert stage.machines.states() == {}
    assert ada.used() == (0, 0, 0)
