"""`Proxy`: all that depends on a node's proxy mode, one value for each mode."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from groundplane.diagnosis.examples import Examples
from groundplane.diagnosis.facts import Exposed, Facts, Finding
from groundplane.diagnosis.ruleset import Ruleset
from groundplane.diagnosis.sample_packet import SamplePacket
from groundplane.net.proxy import Forwarding
from groundplane.project.state import NodeBase, NodeState
from groundplane.site.compiled import Service, Site

if TYPE_CHECKING:
    from groundplane.dataplanes import Dataplane
    from groundplane.dataplanes.nftables import Rules

Feature = Literal["affinity", "consistent hash", "forwarding"]
Setting = tuple[str, str]  # the command that asks whether it is made, and the one that makes it


class Features(NamedTuple):
    """What a service asks of a proxy mode, as far as modes differ in it.

    *mixed*: other nodes of the site have another mode.
    """

    affinity: bool
    external_local: bool
    consistent_hash: bool
    equal_weights: bool
    forwarding: Forwarding
    mixed: bool


class Openings(NamedTuple):
    """What the firewalls of a node's host have to let through for a mode, or no longer."""

    firewalld: tuple[Setting, ...] = ()
    ufw: tuple[Setting, ...] = ()


class Leftover(NamedTuple):
    """Something of ours in the kernel: what it is, and how it is removed."""

    what: str
    remove: Callable[[], None]


def _nothing(*_: object) -> Iterator[Any]:
    return iter(())


def _no_files(_state: NodeState) -> Mapping[str, str]:
    return {}


def _no_openings(*_: object) -> Openings:
    return Openings()


@dataclass(frozen=True, kw_only=True, eq=False)
class Proxy:
    """A proxy mode. What needs the kernel or a template is imported by the function that needs it."""

    name: str

    # ---- the catalog ----
    unsupported: Callable[[Features], Iterator[tuple[Feature, str]]] = _nothing
    """What of a service is otherwise on nodes with this mode: the feature, and what is otherwise."""
    forwards: bool = False
    """Whether it can send packets to an endpoint as they are: `groundplane/ipvs-forwarding`."""
    describe: Callable[[Site, Service, str], Iterator[tuple[str, str]]] = _nothing
    """Rows of `describe service`; the text says on which nodes, "" for all."""

    # ---- the node ----
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)
    openings: Callable[[NodeBase, Exposed], Openings] = _no_openings
    no_openings: Callable[[], Openings] = _no_openings
    """What takes the openings away again."""

    # ---- the kernel ----
    owns: tuple[str, ...] = ()
    """The names of kernel/owned.py that are this mode's alone."""
    rules: Callable[[], "Rules | None"]
    """The rules that share a transaction with the plumbing, if the mode has any."""
    planes: Mapping[str, Callable[[], "Dataplane[Any, Any]"]] = field(default_factory=dict)
    """Dataplanes of its own by their names. They see states of every mode, and hold nothing in others."""
    files: Callable[[NodeState], Mapping[str, str]] = _no_files
    """Files of a node's configuration besides nftables.nft, by their names."""
    leftovers: Callable[[NodeBase | None], Iterator[Leftover]] = _nothing
    """What is there and its own besides nftables' tables; None where no site is kept."""

    # ---- who watches ----
    synced_by: str = "nftables"
    """The dataplane whose writes are syncs in kube-proxy's metrics."""
    labels: Mapping[int, str] = field(default_factory=dict)
    """Labels of connections, and what rules of others do that set one."""
    test_packets: Callable[[NodeBase, Examples, Exposed], Iterator[SamplePacket]] = _nothing
    """The packets to and from services that other rules have to let pass."""
    findings: Callable[[NodeBase, Facts, Exposed, Ruleset | None], Iterator[Finding]] = _nothing
    """What `doctor` finds, on nodes of every mode."""
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Commands of the support bundle, by the names of their files."""
