"""Parts to virtual servers, read as ipvsadm writes them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.project.state import NodeState, Part, Targets, VirtualService
from groundplane.proxies.ipvs.objects import is_destination, server_of, target_of, width_of
from groundplane.proxies.ipvs.render import render
from groundplane.proxies.ipvs.text import rules
from groundplane.site.compiled import Ipvs
from tests.states import BASE, full_states, headless, service, target

MODE = msgspec.structs.replace(BASE, proxy_mode="ipvs")
WEB = service("web", ["10.96.0.5"], ["10.244.1.10:8080", "10.244.2.10:8080"], pool=0x12)


def lines(part: Part, scheduler: str = "rr") -> list[str]:
    base = msgspec.structs.replace(MODE, ipvs=Ipvs(scheduler))
    return rules(render(base, part)).splitlines()


def changed(part: VirtualService, **fields: object) -> VirtualService:
    return msgspec.structs.replace(part, **fields)


def with_targets(part: VirtualService, targets: Targets, node_port: int = 0) -> VirtualService:
    port = msgspec.structs.replace(part.ports[0], ipv4=targets, node_port=node_port)
    return changed(part, ports=(port,))


def test_a_service_is_a_server_and_a_destination_for_each_endpoint() -> None:
    assert [
        "-A -t 10.96.0.5:80 -s rr",
        "-a -t 10.96.0.5:80 -r 10.244.1.10:8080 -m -w 1",
        "-a -t 10.96.0.5:80 -r 10.244.2.10:8080 -m -w 1",
    ] == lines(WEB)


@pytest.mark.parametrize(
    ("protocol", "option"), [("TCP", "-t"), ("UDP", "-u"), ("SCTP", "--sctp-service")]
)
def test_a_server_is_of_one_protocol(protocol: str, option: str) -> None:
    part = service("web", ["fd00:96::5"], ["fd00:244::1:80"], protocol=protocol)  # type: ignore[arg-type]
    assert f"-A {option} [fd00:96::5]:80 -s rr" in lines(part)


def test_in_the_other_mode_there_is_none() -> None:
    assert {} == render(BASE, WEB)


@pytest.mark.parametrize("part", [service("web", ["10.96.0.5"]), headless("web"), BASE])
def test_what_nobody_answers_for_is_not_there(part: Part) -> None:
    assert [] == lines(part)


def test_weights_are_as_small_as_they_can_be_and_need_a_scheduler_that_heeds_them() -> None:
    one, other = target("10.244.1.10:80"), target("10.244.1.11:80")
    part = with_targets(WEB, Targets.of((one,) * 6 + (other,) * 4))
    assert [
        "-A -t 10.96.0.5:80 -s wrr",
        "-a -t 10.96.0.5:80 -r 10.244.1.10:80 -m -w 3",
        "-a -t 10.96.0.5:80 -r 10.244.1.11:80 -m -w 2",
    ] == lines(part)
    assert "-A -t 10.96.0.5:80 -s wlc" in lines(part, "lc")
    assert "-A -t 10.96.0.5:80 -s sed" in lines(part, "sed")


def test_a_service_may_have_a_scheduler_of_its_own() -> None:
    part = changed(WEB, scheduler="mh,mh-port,mh-fallback")
    assert "-A -t 10.96.0.5:80 -s mh -b mh-fallback,mh-port" in lines(part, "lc")


@pytest.mark.parametrize("name", ["sh", "mh"])
def test_a_scheduler_that_hashes_has_its_fallback_in_any_case(name: str) -> None:
    """Or it would refuse those whom it leads to an endpoint that is leaving."""
    assert f"-A -t 10.96.0.5:80 -s {name} -b {name}-fallback" in lines(WEB, name)
    assert f"-A -t 10.96.0.5:80 -s {name} -b {name}-fallback,{name}-port" in lines(
        WEB, f"{name},{name}-port"
    )


def test_consistent_hashing_is_mh_whatever_slots_there_are() -> None:
    one, other = target("10.244.1.10:80"), target("10.244.1.11:80")
    part = changed(with_targets(WEB, Targets.of((one, one, other))), consistent_hash=True)
    assert ["-A -t 10.96.0.5:80 -s mh -b mh-fallback"] == [
        each for each in lines(part) if "-A" in each
    ]
    assert ["1", "1"] == [each.split()[-1] for each in lines(part) if "-a" in each]


def test_a_client_is_kept_for_as_long_as_its_service_says() -> None:
    assert "-A -t 10.96.0.5:80 -s rr -p 10800" in lines(changed(WEB, affinity_seconds=10800))


OUTSIDE = changed(WEB, external_ips=("198.51.100.1",), load_balancer_ips=("203.0.113.1",))


def test_every_way_from_outside_is_a_server() -> None:
    part = changed(OUTSIDE, ports=(msgspec.structs.replace(WEB.ports[0], node_port=30080),))
    assert [
        "-A -t 10.96.0.5:80 -s rr",
        "-A -t 192.0.2.1:30080 -s rr",
        "-A -t 198.51.100.1:80 -s rr",
        "-A -t 203.0.113.1:80 -s rr",
    ] == sorted(each for each in lines(part) if "-A" in each)


def test_local_from_outside_has_the_endpoints_of_this_node_and_a_mark_for_those_inside() -> None:
    """A client on this node, or of its workloads, counts as Cluster."""
    here, far = target("10.244.1.10:80"), target("10.244.2.10:80")
    part = with_targets(changed(OUTSIDE, external_local=True), Targets.of((here, far), (here,)))
    mark = 0x47400000 | 1 << 20 | 0x12
    assert {
        f"-a -f {mark} -r 10.244.1.10:80 -m -w 1",
        f"-a -f {mark} -r 10.244.2.10:80 -m -w 1",
        "-a -t 10.96.0.5:80 -r 10.244.1.10:80 -m -w 1",
        "-a -t 10.96.0.5:80 -r 10.244.2.10:80 -m -w 1",
        "-a -t 198.51.100.1:80 -r 10.244.1.10:80 -m -w 1",
        "-a -t 203.0.113.1:80 -r 10.244.1.10:80 -m -w 1",
    } == {each for each in lines(part) if "-a" in each}


def test_local_inside_is_of_the_cluster_ip_alone() -> None:
    here, far = target("10.244.1.10:80"), target("10.244.2.10:80")
    part = with_targets(changed(OUTSIDE, internal_local=True), Targets.of((here, far), (here,)))
    assert 1 == sum("-a -t 10.96.0.5" in each for each in lines(part))
    assert 2 == sum("-a -t 203.0.113.1" in each for each in lines(part))


def test_behind_a_mark_no_client_is_kept() -> None:
    """The kernel would send it to the port that it asked, and not to its endpoint's."""
    here = target("10.244.1.10:80")
    part = changed(OUTSIDE, external_local=True, affinity_seconds=60)
    marked = [
        each for each in lines(with_targets(part, Targets.of((here,), (here,)))) if "-f" in each
    ]
    assert marked
    assert not [each for each in marked if "-p" in each]


@given(full_states())
def test_no_two_parts_have_an_object_in_common_and_a_server_comes_before_its_destinations(
    drawn: NodeState,
) -> None:
    base = msgspec.structs.replace(drawn.base, proxy_mode="ipvs")
    seen: set[bytes] = set()
    for part in drawn.parts:
        found = render(base, part)
        assert not seen & set(found)
        seen |= set(found)
        servers: set[bytes] = set()
        for key in found:
            if is_destination(key):
                assert key[: width_of(key)] in servers
                assert target_of(key)[1]
            else:
                servers.add(key)
                assert server_of(key).port or server_of(key).mark


@given(st.data())
def test_rules_have_every_object_once(data: st.DataObject) -> None:
    drawn = data.draw(full_states())
    base = msgspec.structs.replace(drawn.base, proxy_mode="ipvs")
    objects = {k: v for part in drawn.parts for k, v in render(base, part).items()}
    listed = rules(objects).splitlines()
    assert len(objects) == len({*listed}) == len(listed)


@pytest.mark.parametrize(
    ("way", "option", "more"), [("direct", "-g", ""), ("tunnel", "-i", " --tun-type ipip")]
)
def test_packets_go_there_as_they_are_where_the_service_says_so(
    way: str, option: str, more: str
) -> None:
    one, other = target("10.244.1.10:80"), target("10.244.1.11:80")
    part = changed(with_targets(WEB, Targets.of((one, other, other))), forwarding=way)
    assert [
        "-A -t 10.96.0.5:80 -s wrr",
        f"-a -t 10.96.0.5:80 -r 10.244.1.10:80 {option} -w 1{more}",
        f"-a -t 10.96.0.5:80 -r 10.244.1.11:80 {option} -w 2{more}",
    ] == lines(part)
