"""Names of our own making are always the same, and different for everything."""

from groundplane_deploys.plan.libvirt.identity import mac_of, uuid_of


def test_a_hardware_address_is_that_of_the_name() -> None:
    assert (mac_of("v1"), mac_of("v2")) == ("52:54:00:3b:fc:26", "52:54:00:fb:04:dc")


def test_a_uuid_is_that_of_site_kind_and_name() -> None:
    given = [("lab", "domain", "v1"), ("lab", "network", "v1"), ("a", "domain", "v1")]
    assert uuid_of("lab", "domain", "v1") == uuid_of(*given[0])
    assert len({uuid_of(*each) for each in given}) == 3
