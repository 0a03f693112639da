"""Workloads that left a node, told by the names of namespaces and links."""

from groundplane.doctor.leftovers import leftovers
from groundplane.project.node import interface_name

LINKS = frozenset({interface_name("shop", "db-0"), interface_name("my-shop", "web")})


def test_a_namespace_is_a_workloads_where_its_link_is() -> None:
    present = ["shop-db-0", "my-shop-web", "docker-1", "other", "shop-db-1"]
    assert ["my-shop-web", "shop-db-0"] == leftovers(present, LINKS, ())


def test_those_of_this_node_are_no_leftovers() -> None:
    assert ["my-shop-web"] == leftovers(["shop-db-0", "my-shop-web"], LINKS, {"shop-db-0"})
