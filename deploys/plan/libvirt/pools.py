"""The pool: the directory of the disks, so that libvirt's own tools show them."""

from groundplane.deploy_api import render_template
from groundplane_deploys.plan.libvirt.identity import pool_name, uuid_of
from groundplane_deploys.plan.libvirt.xml import parse


def pool_xml(site: str, path: str) -> str:
    """Return the XML that defines the pool of *site*, the directory *path*."""
    name = pool_name(site)
    return render_template(
        "libvirt/pool.xml.j2", pool=name, uuid=uuid_of(site, "pool", name), path=path
    )


def read_pool(xml: str) -> str:
    """Return the directory that the XML of a pool names, or ""."""
    return parse(xml).findtext("target/path", "")
