"""`Proxy`: everything that depends on a node's proxy mode, one value for each mode."""

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
Setting = tuple[str, str]  # the command that checks it, and the one that makes it


class Features(NamedTuple):
    """The features that a service requires of a proxy mode, where modes differ.

    *mixed*: other nodes of the site have another mode.
    """

    affinity: bool
    external_local: bool
    consistent_hash: bool
    equal_weights: bool
    forwarding: Forwarding
    mixed: bool


class Openings(NamedTuple):
    """What the firewalls on a node's host must allow for a mode, or must no longer allow."""

    firewalld: tuple[Setting, ...] = ()
    ufw: tuple[Setting, ...] = ()


class Leftover(NamedTuple):
    """An object of ours in the kernel: what it is, and how to remove it."""

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
    """A proxy mode. Functions import the modules that need the kernel or a template themselves."""

    name: str

    # ---- the catalog ----
    unsupported: Callable[[Features], Iterator[tuple[Feature, str]]] = _nothing
    """The features of a service that differ on nodes with this mode: feature and difference."""
    forwards: bool = False
    """Whether it can forward packets to an endpoint untranslated: `groundplane/ipvs-forwarding`."""
    describe: Callable[[Site, Service, str], Iterator[tuple[str, str]]] = _nothing
    """Rows of `describe service`; the text says on which nodes, "" for all."""

    # ---- the node ----
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)
    openings: Callable[[NodeBase, Exposed], Openings] = _no_openings
    no_openings: Callable[[], Openings] = _no_openings
    """The settings that close the openings again."""

    # ---- the kernel ----
    owns: tuple[str, ...] = ()
    """The names in kernel/owned.py that only this mode uses."""
    rules: Callable[[], "Rules | None"]
    """The rules that share a transaction with the plumbing, if the mode has any."""
    planes: Mapping[str, Callable[[], "Dataplane[Any, Any]"]] = field(default_factory=dict)
    """Its own dataplanes, by name. They see states of every mode, but are empty in other modes."""
    files: Callable[[NodeState], Mapping[str, str]] = _no_files
    """Files of a node's configuration besides nftables.nft, by their names."""
    leftovers: Callable[[NodeBase | None], Iterator[Leftover]] = _nothing
    """Its objects on the node besides nftables tables; the base is None if no site is stored."""

    # ---- who watches ----
    synced_by: str = "nftables"
    """The dataplane whose writes are syncs in kube-proxy's metrics."""
    labels: Mapping[int, str] = field(default_factory=dict)
    """Connection labels, and the effect of another program's rule that sets one."""
    test_packets: Callable[[NodeBase, Examples, Exposed], Iterator[SamplePacket]] = _nothing
    """The packets to and from services that other rules must accept."""
    findings: Callable[[NodeBase, Facts, Exposed, Ruleset | None], Iterator[Finding]] = _nothing
    """The findings of `doctor`, on nodes of every mode."""
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Commands of the support bundle, by the name of their output file."""
