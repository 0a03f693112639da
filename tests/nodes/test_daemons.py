"""The real firewalld and Docker on a booted node: as installed, as the page says, and restarted."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.plan.firewall import firewalld_without
from tests.nodes.conftest import EVERY_WEB, WEB, Deployed
from tests.nodes.packages import NoPackages, install, remove
from tests.nodes.traffic import cluster_ip, standing

pytestmark = pytest.mark.nodes

NODE, PEER = "n3", "n1"
PLACES = ((NODE, ""), (NODE, "default-echo-3"), (PEER, "default-echo-1"))
OURS = (
    "ip groundplane", "ip6 groundplane", "bridge groundplane",
    "ip groundplane-services", "ip6 groundplane-services",
)  # fmt: skip
PAGE = (ROOT / "docs/coexistence.md").read_text()
RELOAD, RESTART = "firewall-cmd --reload", "systemctl restart"
FORWARD = "table inet firewalld, chain filter_FORWARD"
INPUT = "table inet firewalld, chain filter_INPUT"
BETWEEN_NODES = (
    "workloads to those of other nodes; workloads of other nodes to those of this one; what other "
    "nodes masquerade to workloads of this one; workloads to addresses outside"
)

# systemd-nspawn mounts the controllers of version 1 for reading alone, and the lab confines a node
# in all but cpuset; it also keeps runc from making keyrings.
RUNC = "/usr/local/bin/runc-without-keyring"
CONTAINERS = f"""
umount -q /sys/fs/cgroup/cpuset
for each in /sys/fs/cgroup/*/; do mount -o remount,bind,rw $each; done
cat > {RUNC} <<'END'
#!/bin/sh
for each; do
  shift
  [ "$each" = create ] && set -- "$@" create --no-new-keyring || set -- "$@" "$each"
done
exec runc "$@"
END
chmod 755 {RUNC}
mkdir -p /etc/docker
cat > /etc/docker/daemon.json <<'END'
{{"runtimes": {{"plain": {{"path": "{RUNC}"}}}}, "default-runtime": "plain"}}
END
"""
CONTAINER = """
tar -ch /bin/sleep $(ldd /bin/sleep | grep -o '/lib[^ ]*') 2>/dev/null | docker import - sleep
docker run --init --restart always --detach --publish 8088:80 --name sleeper sleep \
  /bin/sleep infinity
"""


def says(section: str) -> list[str]:
    """Return the commands that the page gives first in *section*."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return text.split("```\n")[1].splitlines()


def deploy(site: Deployed) -> list[str]:
    """Deploy what the node's firewall has to let through; return the operations that did something."""
    command = ("pyinfra", "-y", "--json", "--limit", NODE, "inventories/lab.py")
    done = json.loads(site.run(*command, "groundplane_deploys.machine.firewall.firewall"))
    operations = done["results"]["operations"]
    return [each["name"] for each in operations if each["success"]]


def obey(site: Deployed, *commands: str) -> None:
    site.on(NODE, " && ".join(commands))


def asked(site: Deployed, node: str, netns: str, name: str = "web") -> set[str]:
    """Return who answers at the cluster IP, without asking for a name."""
    return set(site.connect(node, netns, cluster_ip(site, name), 80, count=30))


def knows_names(site: Deployed) -> bool:
    """Whether the name server answers a workload."""
    dig = f"ip netns exec default-echo-3 dig +time=1 +tries=1 {WEB}"
    return "status: NOERROR" in site.on(NODE, dig, check=False)


def health_check_port(site: Deployed) -> int:
    return next(each.health_check_port for each in site.services if each.name == "shop")


def findings(site: Deployed) -> list[tuple[str, str, str]]:
    found = json.loads(site.on(NODE, "groundplane doctor -o json", check=False))
    return [(each["severity"], each["subject"], each["message"]) for each in found["findings"]]


def ruleset(site: Deployed) -> dict[str, str]:
    """Return all tables, with the handles of their rules: what was made again has another."""
    listed = f"\n{site.on(NODE, 'nft -a -t -s list ruleset')}".split("\ntable ")[1:]
    tables = (each.partition(" {") for each in listed)
    return {name: text.rstrip() for name, _, text in tables}


def theirs(site: Deployed) -> dict[str, str]:
    return {name: text for name, text in ruleset(site).items() if name not in OURS}


def ours(site: Deployed) -> dict[str, str]:
    return {name: text for name, text in ruleset(site).items() if name in OURS}


def repairs(site: Deployed) -> int:
    status = site.status(NODE)
    assert status["healthy"], status
    return sum(plane["repairs"] for plane in status["planes"])


def check_that_nothing_of_ours_changes(site: Deployed, command: str) -> None:
    """Run *command*: our rules are the same ones, flows go on, and there is nothing to repair."""
    before, made, tables = repairs(site), ours(site), theirs(site).keys()
    with standing(site, *PLACES):
        site.on(NODE, command)
        site.wait(lambda: theirs(site).keys() >= tables, 10, "their tables are back")
    check_that_all_are_reached(site)
    time.sleep(2)  # whoever repairs, and is undone, has done so again by now
    assert made == ours(site)
    assert before == repairs(site)
    assert tables == theirs(site).keys()


def check_that_all_are_reached(site: Deployed) -> None:
    def reach(place: tuple[str, str]) -> set[str]:
        return set(site.connect(*place, WEB, 80, count=60))

    with ThreadPoolExecutor() as pool:
        assert [EVERY_WEB] * len(PLACES) == list(pool.map(reach, PLACES))


@contextmanager
def installed(site: Deployed, name: str) -> Iterator[None]:
    try:
        packages = install(site, NODE, name)
    except NoPackages as error:
        pytest.skip(f"no packages for the node: {error}")
    try:
        yield
    finally:
        remove(site, NODE, packages)


@pytest.fixture(scope="module")
def node(site: Deployed) -> Iterator[Deployed]:
    """A node for daemons; their rules, settings and interfaces go with a new boot."""
    yield site
    started = site.status(NODE)["started"]
    site.on(NODE, "sysctl -q net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0; "
            "nft list tables | grep -v groundplane | xargs -rn3 nft delete; "
            "ip link delete docker0; rm -rf /etc/docker /etc/firewalld /var/lib/docker; "
            f"rm -f {RUNC}; systemctl reboot", check=False)  # fmt: skip
    site.wait(lambda: _runs(site) and site.status(NODE)["started"] > started, 60, "it is back")


def _runs(site: Deployed) -> bool:
    return "running" in site.on(NODE, "systemctl is-system-running", check=False)


@pytest.fixture(scope="module")
def firewalld(node: Deployed) -> Iterator[Deployed]:
    with installed(node, "firewalld"):
        yield node


@pytest.fixture(scope="module")
def opened(firewalld: Deployed) -> Deployed:
    """Firewalld with what the deploy opens in it."""
    deploy(firewalld)
    return firewalld


@pytest.fixture(scope="module")
def docker(opened: Deployed) -> Iterator[Deployed]:
    """Docker alone, with a container."""
    obey(opened, "systemctl disable --quiet --now firewalld")
    opened.on(NODE, CONTAINERS)
    with installed(opened, "docker.io"):
        opened.on(NODE, CONTAINER)
        yield opened
        opened.on(NODE, "docker rm --force sleeper", check=False)


@pytest.fixture(scope="module")
def both(docker: Deployed) -> Deployed:
    obey(docker, "systemctl enable --quiet --now firewalld")
    return docker


def test_firewalld_keeps_out_other_nodes_and_the_doctor_says_so(firewalld: Deployed) -> None:
    assert {"inet firewalld"} == theirs(firewalld).keys()
    health = f"health checks on port {health_check_port(firewalld)}"
    how = "It drops IPv4 and IPv6 by a drop or reject rule"
    legacy = "services to port 8099 of this node"
    (forward, entering) = findings(firewalld)
    assert ("error", FORWARD, f"{how}: {BETWEEN_NODES}.") == forward
    assert ("error", INPUT) == entering[:2]
    assert {"names asked by workloads", health, legacy} == {
        *entering[2].removeprefix(f"{how}: ").removesuffix(".").split("; ")
    }

    for netns in ("", "default-echo-3"):
        assert EVERY_WEB == asked(firewalld, NODE, netns)
        assert {"old-server"} == asked(firewalld, NODE, netns, "legacy")
    local = firewalld.on(NODE, "ip -4 -o -n default-web-3 address show scope global").split()[3]
    for address, port in ((local.split("/")[0], 8080), (cluster_ip(firewalld, "legacy"), 80)):
        (answer,) = firewalld.connect(PEER, "", address, port, count=1)
        assert answer.startswith("error: ")
    assert not knows_names(firewalld)


def test_with_what_the_deploy_opens_firewalld_lets_all_pass(opened: Deployed) -> None:
    check_that_all_are_reached(opened)
    assert [] == findings(opened)
    assert {"old-server"} == asked(opened, PEER, "", "legacy")


def test_the_deploy_does_what_the_page_says_and_once(opened: Deployed) -> None:
    assert [] == deploy(opened)
    told = opened.on(NODE, "; ".join(each for each in says("firewalld") if "--add" in each))
    assert "" == told.replace("success", "").strip()


def test_what_the_deploy_opened_is_closed_with_the_node(opened: Deployed) -> None:
    """The two functions of deploys/firewall.py by firewalld itself; the node stays."""
    pairs = list(firewalld_without(("groundplane0", "groundplane1")))

    def there() -> list[str]:
        asks = [f"{ask} >/dev/null 2>&1 || echo {number}" for number, (ask, _) in enumerate(pairs)]
        return [pairs[int(line)][1] for line in opened.on(NODE, "; ".join(asks)).split()]

    assert [make for _, make in pairs if "groundplane1" not in make] == there()
    obey(opened, *(f"{make} -q" for make in there()), "firewall-cmd -q --reload")
    assert [] == there()
    assert ["Firewall | Services pass the firewall"] == deploy(opened)
    assert [] == findings(opened)


def test_firewalld_anew_changes_nothing_of_ours(opened: Deployed) -> None:
    check_that_nothing_of_ours_changes(opened, f"{RELOAD} && {RESTART} firewalld")


def in_container(site: Deployed) -> str:
    """Return a network namespace of ip(8) that is the container's."""
    process = site.on(NODE, "docker inspect --format '{{.State.Pid}}' sleeper").strip()
    site.on(NODE, f"ip netns attach sleeper {process}")
    return "sleeper"


def test_docker_finds_forwarding_on_and_lets_all_pass(docker: Deployed) -> None:
    assert "sleeper" in docker.on(NODE, "docker ps --format '{{.Names}}'")
    assert {"ip filter", "ip nat"} == theirs(docker).keys()
    assert "tcp dport 8088 counter dnat to 172.17." in theirs(docker)["ip nat"]
    assert [] == findings(docker)
    check_that_all_are_reached(docker)
    try:
        assert EVERY_WEB == asked(docker, NODE, in_container(docker))
    finally:
        docker.on(NODE, "ip netns delete sleeper", check=False)


def test_docker_anew_changes_nothing_of_ours(docker: Deployed) -> None:
    check_that_nothing_of_ours_changes(docker, f"{RESTART} docker")


def test_docker_that_finds_forwarding_off_takes_what_the_page_says(docker: Deployed) -> None:
    obey(docker, "systemctl stop docker.socket docker", "sysctl -q net.ipv4.ip_forward=0",
         "systemctl start docker")  # fmt: skip
    try:
        (forward, bridged) = findings(docker)
        assert ("error", "table ip filter, chain FORWARD") == forward[:2]
        assert ("warning", "sysctl net.bridge.bridge-nf-call-iptables") == bridged[:2]
        url = f"http://{cluster_ip(docker)}/"
        curl = f"ip netns exec default-echo-3 curl -s --max-time 2 {url}"
        assert "" == docker.on(NODE, curl, check=False)
        obey(docker, *(each for each in says("Docker") if each.startswith("iptables ")))
        assert [] == findings(docker)
        check_that_all_are_reached(docker)
    finally:
        obey(docker, "iptables -P FORWARD ACCEPT")


def test_both_anew_change_nothing_of_ours(both: Deployed) -> None:
    check_that_nothing_of_ours_changes(both, f"{RELOAD} && {RESTART} firewalld && {RESTART} docker")


def test_a_repair_beside_both_takes_a_second_and_leaves_theirs(both: Deployed) -> None:
    before, count = theirs(both), repairs(both)
    damaged = float(both.on(NODE, "date +%s.%N; nft delete table ip groundplane-services"))
    both.wait(lambda: repairs(both) > count, 5, "it is repaired")
    event = json.loads(both.on(NODE, "groundplane events -n 1 -o json"))
    assert "Repaired" == event["reason"]
    assert 1.0 > event["time"] - damaged
    time.sleep(2)
    assert count + 1 == repairs(both)
    assert before == theirs(both)
    check_that_all_are_reached(both)
