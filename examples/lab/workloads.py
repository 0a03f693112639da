"""Starts the example's workloads on their nodes: `pyinfra inventories/lab.py examples/lab/workloads.py`.

groundplane connects workloads; starting them is their owner's job, and this is one way to do it.
"""

from functools import partial
from io import StringIO
from pathlib import Path

from pyinfra import host, logger
from pyinfra.api.operation import OperationMeta
from pyinfra.operations import files, systemd

from groundplane.documents.catalog import Catalog
from groundplane.documents.site import Workload
from groundplane_deploys.catalog import read_source
from groundplane_deploys.lab.site import SERVERS, has_example_servers

HERE = Path(__file__).resolve().parent


def arguments(catalog: Catalog, workload: Workload) -> str:
    """Return the command line of *workload*'s server."""
    ports = [f"{port.protocol}:{port.port}" for port in workload.spec.ports]
    node = catalog.nodes[workload.spec.node]
    addresses = node.spec.addresses if workload.spec.host_network else ()
    return " ".join([workload.metadata.name, *ports, *addresses])


def either_changed(*operations: OperationMeta) -> bool:
    return any(each.did_change() for each in operations)


def start(catalog: Catalog) -> None:
    """Start those of this node."""
    program = files.put(
        name="The example's server is there",
        src=str(HERE / "workload.py"),
        dest="/opt/lab/workload.py",
        mode="755",
        add_deploy_dir=False,
    )
    units = [
        files.put(
            name=f"systemd has {unit}",
            src=str(HERE / "units" / unit),
            dest=f"/etc/systemd/system/{unit}",
            mode="644",
            add_deploy_dir=False,
        )
        for unit in ("workload@.service", "workload-host@.service")
    ]
    systemd.daemon_reload(
        name="systemd knows the example's units",
        _if=lambda: any(unit.did_change() for unit in units),
    )
    here = [w for w in catalog.workloads.values() if w.spec.node == host.data.node_name]
    for workload in here:
        instance = f"{workload.metadata.namespace}-{workload.metadata.name}"
        kind = "workload-host" if workload.spec.host_network else "workload"
        settings = files.put(
            name=f"{instance} knows its ports",
            src=StringIO(f"ARGUMENTS={arguments(catalog, workload)}\n"),
            dest=f"/opt/lab/{instance}.env",
            mode="644",
        )
        systemd.service(
            name=f"{instance} runs",
            service=f"{kind}@{instance}.service",
            running=True,
            enabled=True,
        )
        systemd.service(
            name=f"{instance} is the new one",
            service=f"{kind}@{instance}.service",
            restarted=True,
            _if=partial(either_changed, settings, program),
        )


if has_example_servers(read_source()):
    start(read_source())
else:
    logger.info("workloads are not started: the Cluster has no label %s: example", SERVERS)
