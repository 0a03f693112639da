"""The links of workloads that keep running during an upgrade."""

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from groundplane.deploy_api import LocalWorkload
from groundplane_deploys.facts.machine import BridgeEntries, LinkNames


@operation()
def connected(
    workloads: Sequence[LocalWorkload], node: str, program: str
) -> Generator[StringCommand]:
    """Reconnect each of *workloads* that runs on *node* the way *program* does it.

    An agent lets a workload send only from the hardware address that it assigned, which the bridge
    then knows. A workload that an earlier version connected has another address.
    """
    links, entries = host.get_fact(LinkNames), host.get_fact(BridgeEntries)
    changed = False
    for workload in workloads:
        if workload.interface in links and (workload.mac, workload.interface) not in entries:
            changed = True
            yield StringCommand(
                QuoteString(program), "netns", "up", "--node", QuoteString(node), workload.instance
            )
    if not changed:
        host.noop("the workloads that run are connected")
