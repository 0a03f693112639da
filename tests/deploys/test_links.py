"""Whether anything of networkd's is worth to wait for at a boot: links of the host, not ours alone."""

import pytest

from groundplane_deploys.machine.links import configures_links_of_others

OURS = [
    "/etc/systemd/network/60-groundplane0.network",
    "/etc/systemd/network/60-groundplane1.network",
]


@pytest.mark.parametrize(
    "files", [[], OURS, [*OURS, "/usr/lib/systemd/network/80-container-ve.network"]]
)
def test_networkd_has_nothing_but_what_we_and_guests_gave_it(files: list[str]) -> None:
    assert not configures_links_of_others(files)


@pytest.mark.parametrize(
    "file",
    [
        "/etc/systemd/network/10-eth0.network",
        "/etc/systemd/network/05-groundplane-eth0.network",
        "/run/systemd/network/10-netplan-eth0.network",
        "/usr/lib/systemd/network/80-container-host0.network",
    ],
)
def test_networkd_has_a_link_of_the_host(file: str) -> None:
    assert configures_links_of_others([file])
    assert configures_links_of_others([*OURS, file])
