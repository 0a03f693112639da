"""The texts of the files that make a node."""

from groundplane_deploys.lab.files import (
    compose_files,
    format_hosts,
    format_network,
    format_resolv_conf,
)
from groundplane_deploys.lab.model import Lab, LabNode

N1 = LabNode("n1", ("192.168.50.11/24", "fd50::11/64"))
N2 = LabNode("n2", ("192.168.50.12/24",))
LAB = Lab(nodes=(N1, N2))


def test_hosts_names_every_node() -> None:
    assert format_hosts(LAB.nodes) == (
        "127.0.0.1 localhost\n"
        "::1 localhost ip6-localhost ip6-loopback\n"
        "192.168.50.11 n1\n"
        "fd50::11 n1\n"
        "192.168.50.12 n2\n"
    )


def test_the_gateway_is_the_name_server() -> None:
    assert format_resolv_conf(LAB) == "nameserver 192.168.50.1\nnameserver fd50::1\n"


def test_addresses_are_static_and_nothing_is_learnt() -> None:
    assert format_network(LAB, N1) == (
        "[Match]\n"
        "Name=host0\n"
        "\n"
        "[Network]\n"
        "DHCP=no\n"
        "LinkLocalAddressing=ipv6\n"
        "IPv6AcceptRA=no\n"
        "LLMNR=no\n"
        "MulticastDNS=no\n"
        "LLDP=no\n"
        "EmitLLDP=no\n"
        "Gateway=192.168.50.1\n"
        "Gateway=fd50::1\n"
        "\n"
        "[Address]\n"
        "Address=192.168.50.11/24\n"
        "\n"
        "[Address]\n"
        "Address=fd50::11/64\n"
        "DuplicateAddressDetection=none\n"
    )


def test_a_node_of_one_family_gets_no_gateway_of_the_other() -> None:
    assert "fd50::1" not in format_network(LAB, N2)


def test_secrets_are_for_root_alone() -> None:
    files = compose_files(LAB, N1, "client public\n", "host private\n", "host public\n")
    by_path = {file.path: file for file in files}

    assert by_path["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert by_path["root/.ssh/authorized_keys"].mode == 0o600
    assert by_path["root/.ssh/authorized_keys"].text == "client public\n"
    assert by_path["etc/hostname"].text == "n1\n"


def test_a_digest_tells_text_and_mode_apart() -> None:
    first, second = (
        compose_files(LAB, node, "client\n", "private\n", "public\n") for node in LAB.nodes
    )

    same = {a.path for a, b in zip(first, second, strict=True) if a.digest == b.digest}
    assert same == {
        "etc/hosts",
        "etc/resolv.conf",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "root/.ssh/authorized_keys",
    }


def test_a_hypervisor_has_a_configuration_of_qemu_and_other_nodes_have_not() -> None:
    hypervisor = LabNode("hv1", ("192.168.50.20/24",), tree="hypervisor")
    paths = [
        {file.path for file in compose_files(LAB, node, "key", "host key", "public")}
        for node in (hypervisor, N1)
    ]
    assert paths[0] - paths[1] == {"etc/libvirt/qemu.conf"}
    assert paths[1] <= paths[0]
