"""The address of the site's own DNS service."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import allocate_source
from groundplane.errors import CatalogError
from tests.catalogs import SITE, read

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]CLUSTER_IP}
"""


def addresses(source: Path, fixed: str = "", *, dns: str = "") -> tuple[tuple[str, ...], ...]:
    """Return those of the DNS service, and those of `web`."""
    web = WEB.replace("CLUSTER_IP", f", clusterIP: {fixed}" if fixed else "")
    site = SITE.replace("spec:\n", f"spec:\n  dns: {{clusterIPs: [{dns}]}}\n", 1) if dns else SITE
    found = allocate_source(source, read(source, web, site))[0]
    return found.dns, found.cluster_ips["default", "web"]


def test_it_is_the_tenth_of_the_range(source: Path) -> None:
    assert ("10.96.0.10",) == addresses(source)[0]


def test_a_service_that_names_the_default_or_holds_it_keeps_it(source: Path) -> None:
    assert ((), ("10.96.0.10",)) == addresses(source, "10.96.0.10")
    (source / "addresses.lock").write_text(
        "Node/n1 10.244.7.0/24\nService/default/web 10.96.0.10\n"
    )
    assert ((), ("10.96.0.10",)) == addresses(source)


def test_what_is_declared_is_nobody_elses(source: Path) -> None:
    with pytest.raises(CatalogError) as error:
        addresses(source, "10.96.0.53", dns="10.96.0.53")
    assert str(error.value).endswith(
        "Service/default/web: spec.clusterIP: 10.96.0.53 is taken by the site's DNS service "
        "(spec.dns.clusterIPs of the Cluster)"
    )


def test_it_is_not_kept_in_the_lock(source: Path) -> None:
    catalog = read(source, WEB.replace("CLUSTER_IP", ""), SITE)
    lock = allocate_source(source, catalog)[0].lock
    assert not [given for given in lock.held.values() if "10.96.0.10" in given]


def test_services_never_get_it_by_themselves(source: Path) -> None:
    site = SITE.replace("10.96.0.0/24", "10.96.0.0/28")
    services = "---\n".join(
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        for n in range(13)
    )
    found = allocate_source(source, read(source, services, site))[0]
    given = {text for each in found.cluster_ips.values() for text in each}
    assert (13, False) == (len(given), "10.96.0.10" in given)
    with pytest.raises(CatalogError, match="is full"):
        allocate_source(
            source, read(source, services + "---\n" + WEB.replace("CLUSTER_IP", ""), site)
        )


def test_a_small_range_has_none(source: Path) -> None:
    site = SITE.replace("10.96.0.0/24", "10.96.0.0/29")
    assert () == allocate_source(source, read(source, "", site))[0].dns
