"""The example's site on booted nodes: deployed, verified, changed, and hurt."""

import json
import subprocess
import sys
import time
from functools import partial

import pytest

from groundplane.compile.pipeline import compile_source
from tests.nodes.conftest import CLIENT, EVERY_WEB, PREFIX, WEB, Deployed

pytestmark = pytest.mark.nodes


def _deviation(count: int, shares: int) -> float:
    return float((count * (1 / shares) * (1 - 1 / shares)) ** 0.5)


def test_the_site_is_as_declared(site: Deployed) -> None:
    """The suite that users run against their own site passes."""
    show = "ip -4 route show proto 71"
    for node in (
        "n1",
        "n2",
        "n3",
    ):  # networkd was reconfigured: the kernel drops routes, and is silent
        site.wait(partial(lambda on: "groundplane0" in site.on(on, show), node), 30, "its routes")
    output = site.run("pytest", "-q", "-p", "no:cacheprovider", "tests/verify")
    assert " failed" not in output


def test_the_tour_shows_every_service_and_its_requests_are_answered(site: Deployed) -> None:
    output = site.run("python", "-m", "groundplane_deploys.lab", "tour")
    services = [each.name for each in compile_source(site.source).services]
    assert [] == [name for name in services if f" {name} " not in output]
    assert 9 == output.count(
        " answers "
    )  # from a workload of each node; two addresses, three nodes


def test_a_second_deploy_changes_nothing(site: Deployed) -> None:
    done = site.deploy("deploys/site.py", "examples/lab/workloads.py")["results"]["operations"]
    assert {} == {each["name"]: each for each in done if each["success"] or each["error"]}


def test_connections_spread_evenly(site: Deployed) -> None:
    """1,000 connections: every endpoint within four standard deviations of its share."""
    counts = site.connect("n1", "default-echo-1", WEB, 80, count=1000)
    assert EVERY_WEB == set(counts)
    assert all(abs(n - 1000 / 3) < 4 * _deviation(1000, 3) for n in counts.values()), counts


def test_a_removed_endpoint_gets_no_new_connection_once_the_commit_is_in_use(
    site: Deployed,
) -> None:
    try:
        site.push_and_wait("web.yaml", partial(_with_last_state, '  state: "off"\n'))
        counts = site.connect("n1", "default-echo-1", WEB, 80, count=300)
        assert {"web-1", "web-2"} == set(counts)
    finally:
        site.restore()
    site.wait(
        lambda: EVERY_WEB == set(site.connect("n1", "", WEB, 80, count=60)), 5, "web-3 is back"
    )


def test_no_connection_fails_while_the_source_changes_ten_times(site: Deployed) -> None:
    """20,000 connections; endpoints come and go, whose processes live on."""
    inside = [
        "ip",
        "netns",
        "exec",
        PREFIX,
        "ssh",
        "-F",
        f"/var/lib/groundplane-{PREFIX}/ssh/config",
    ]
    client = subprocess.Popen(
        [*inside, "n1", f"ip netns exec default-echo-1 python3 - {WEB} 80 20000 20"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    client.stdin.write(CLIENT)
    client.stdin.close()
    client.stdin = None
    changes = 0
    while changes < 10 or client.poll() is None:
        assert changes < 200
        state = '  state: "off"\n' if changes % 2 == 0 else ""
        site.push("web.yaml", partial(_with_last_state, state))
        changes += 1
        time.sleep(0.4)
    output, _ = client.communicate(timeout=100)
    site.restore()
    counts = json.loads(output)
    assert 20_000 == sum(counts.values())
    assert EVERY_WEB == set(counts)


def _with_last_state(state: str, text: str) -> str:
    kept = "\n".join(line for line in text.splitlines() if 'state: "off"' not in line)
    return f"{kept}\n{state}"


def _rules(site: Deployed, node: str) -> str:
    """Return the rules with their handles: a rule that was made again has another."""
    return site.on(node, "nft -a list chains; nft -a list chain ip groundplane-services services")


@pytest.mark.parametrize(
    "damage",
    [
        "nft flush ruleset",
        "nft insert rule ip groundplane-services services tcp dport 80 drop",
        "ip route flush proto 71",
    ],
)
def test_what_others_damage_is_repaired(site: Deployed, damage: str) -> None:
    site.on("n2", damage)
    site.wait(
        lambda: EVERY_WEB == set(site.connect("n2", "orders-db-0", WEB, 80, count=60)),
        20,
        "traffic flows again",
    )


def test_a_killed_agent_changes_no_rule(site: Deployed) -> None:
    before = _rules(site, "n1")
    started = site.status("n1")["started"]
    site.on("n1", "systemctl kill -s KILL groundplane-agent")
    counts = site.connect("n1", "", WEB, 80, count=300)
    assert EVERY_WEB == set(counts)
    site.wait(lambda: site.status("n1")["started"] != started, 60, "the agent is back")
    site.wait(lambda: site.status("n1")["healthy"], 60, "the agent is content")
    assert before == _rules(site, "n1")


def test_a_stopped_agent_leaves_everything_in_place(site: Deployed) -> None:
    site.on("n1", "systemctl stop groundplane-agent")
    try:
        assert EVERY_WEB == set(site.connect("n1", "", WEB, 80, count=60))
    finally:
        site.on("n1", "systemctl start groundplane-agent")


def test_a_restarted_name_server_knows_the_same(site: Deployed) -> None:
    def serial() -> int:
        return int(site.on("n1", "dig +short SOA cluster.local @127.0.0.1").split()[2])

    before = serial()
    site.on("n1", "systemctl restart named")
    site.wait(lambda: site.on("n1", f"dig +short {WEB} @127.0.0.1") != "", 60, "BIND is back")
    assert EVERY_WEB == set(site.connect("n1", "default-echo-1", WEB, 80, count=60))
    assert before == serial()


def test_with_the_name_server_stopped_a_node_resolves_outside_names(site: Deployed) -> None:
    site.on("n1", "systemctl stop named")
    try:
        assert "192.0.2.80" in site.on("n1", "getent ahostsv4 www.example.test")
    finally:
        site.on("n1", "systemctl start named")
    site.wait(lambda: site.on("n1", f"dig +short {WEB} @127.0.0.1") != "", 10, "BIND is back")


def test_an_outside_host_gets_no_answer_from_the_name_server(site: Deployed) -> None:
    done = subprocess.run(
        ["ip", "netns", "exec", PREFIX, "dig", "+time=1", "+tries=1", WEB, "@192.168.50.11"],
        text=True,
        capture_output=True,
    )
    assert "status: NOERROR" not in done.stdout


FETCH = """
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=2) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
    pass
"""


def _outside(url: str) -> list[str]:
    """Return status and words of the answer to a request from the lab's network, beside the nodes."""
    command = ["ip", "netns", "exec", PREFIX, sys.executable, "-c", FETCH, url]
    return subprocess.run(command, text=True, capture_output=True).stdout.split()


@pytest.mark.parametrize("address", ["192.168.50.11", "192.168.50.12", "192.168.50.13"])
def test_a_node_port_answers_on_every_node(site: Deployed, address: str) -> None:
    answers = {_outside(f"http://{address}:30080/")[1] for _ in range(25)}
    assert EVERY_WEB == answers


def test_health_check_node_ports_say_which_nodes_have_endpoints(site: Deployed) -> None:
    shop = next(each for each in site.services if each.name == "shop")
    for last, status in ((11, "200"), (12, "200"), (13, "503")):
        assert status == _outside(f"http://192.168.50.{last}:{shop.health_check_port}/any")[0]


def test_a_load_balancers_address_answers_where_it_has_endpoints(site: Deployed) -> None:
    shop = next(each for each in site.services if each.name == "shop")
    address = shop.load_balancer_ips[0]
    for last, expected in ((11, ["200", "api-1"]), (12, ["200", "api-2"]), (13, [])):
        way = ["ip", "-n", PREFIX, "route"], [f"{address}/32", "via", f"192.168.50.{last}"]
        subprocess.run([*way[0], "replace", *way[1]], check=True)
        try:
            assert expected == _outside(f"http://{address}/")[:2]
        finally:
            subprocess.run([*way[0], "del", *way[1]], check=True)


def test_another_name_leads_to_the_service(site: Deployed) -> None:
    name = "www.default.svc.cluster.local"
    for place in ("", "default-echo-1"):
        assert EVERY_WEB == set(site.connect("n1", place, name, 80, count=60))


def test_the_doctor_finds_nothing_on_a_node_as_deployed(site: Deployed) -> None:
    found = json.loads(site.on("n1", "groundplane doctor -o json", check=False))
    assert [] == [each for each in found["findings"] if each["severity"] == "error"]


def test_a_rebooted_node_comes_back_as_it_was(site: Deployed) -> None:
    """Traffic between the others goes on; afterwards the node is as declared."""
    site.on("n3", "systemctl reboot", check=False)
    counts = site.connect("n1", "default-echo-1", "api.default.svc.cluster.local", 80, count=200)
    assert {"api-1", "api-2"} == set(counts)
    site.wait(lambda: _is_up(site, "n3"), 60, "n3 is back")
    site.wait(
        lambda: EVERY_WEB == set(site.connect("n3", "default-web-3", WEB, 80, count=60)),
        20,
        "the workload on n3 reaches and is reached",
    )
    output = site.run("pytest", "-q", "-p", "no:cacheprovider", "tests/verify")
    assert " failed" not in output


def _is_up(site: Deployed, node: str) -> bool:
    return "running" in site.on(node, "systemctl is-system-running", check=False)


def test_a_workload_that_the_health_file_says_fails_gets_no_new_connection(site: Deployed) -> None:
    health = "/etc/groundplane/health.yaml"
    site.on("n1", f"echo 'default/web-2: false' > {health}")
    try:
        site.wait(lambda: site.status("n1")["failing"] == 1, 5, "the agent has read it")
        counts = site.connect("n1", "default-echo-1", WEB, 80, count=200)
        assert {"web-1", "web-3"} == set(counts)
    finally:
        site.on("n1", f"rm {health}")
    site.wait(lambda: site.status("n1")["failing"] == 0, 5, "the agent has seen it go")
