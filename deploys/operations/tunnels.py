"""What workloads take out of IP's own tunnels."""

from collections.abc import Generator, Mapping, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from groundplane_deploys.facts.machine import TunnelAddresses


@operation()
def answered(wanted: Mapping[str, Sequence[str]]) -> Generator[StringCommand]:
    """Give each running workload in *wanted* exactly those addresses.

    A stopped workload gets them when it starts (`groundplane netns up`).
    """
    changed = False
    for instance, there in host.get_fact(TunnelAddresses).items():
        if instance in wanted and sorted(wanted[instance]) != sorted(there):
            changed = True
            yield StringCommand("groundplane", "netns", "answer", instance, *wanted[instance])
    if not changed:
        host.noop("workloads answer by the addresses that come to them in tunnels")
