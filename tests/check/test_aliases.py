"""ExternalNames that lead to one another."""

from pathlib import Path

import pytest

from groundplane.net.dns_names import MAX_ALIASES
from tests.catalogs import SITE, faults

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"""


def alias(name: str, target: str) -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec: {{type: ExternalName, externalName: {target}}}\n"
    )


def inside(name: str, domain: str = "cluster.local") -> str:
    return f"{name}.default.svc.{domain}"


LOOP = (
    "spec.externalName: default/{} leads back to an alias before it: no client gets an answer; "
    "use a target outside of the loop"
)


def told(found: list[str]) -> dict[str, str]:
    """Return the messages of *found* by the names of their services."""
    parts = (line.split(": ", 2) for line in found)
    return {subject.removeprefix("Service/default/"): message for _, subject, message in parts}


@pytest.mark.parametrize(
    ("aliases", "loops"),
    [
        ({"a": inside("a")}, {"a": "a"}),
        ({"a": inside("a") + "."}, {"a": "a"}),
        ({"a": inside("b"), "b": inside("a")}, {"a": "b", "b": "a"}),
        ({"a": inside("b"), "b": inside("c"), "c": inside("b")}, {"a": "b", "b": "c", "c": "b"}),
        ({"a": inside("b"), "b": inside("web")}, {}),
        ({"a": inside("b"), "b": "db.example"}, {}),
        ({"a": inside("none")}, {}),
        ({"a": inside("a", "cluster.example")}, {}),
    ],
)
def test_an_alias_that_leads_back_is_refused(
    source: Path, aliases: dict[str, str], loops: dict[str, str]
) -> None:
    text = WEB + "".join(alias(name, target) for name, target in aliases.items())
    assert {name: LOOP.format(to) for name, to in loops.items()} == told(faults(source, text))


def test_the_domain_of_the_cluster_counts(source: Path) -> None:
    site = SITE.replace("spec:\n", "spec:\n  clusterDomain: lab.example.\n", 1)
    text = alias("a", inside("a", "lab.example"))
    assert {"a": LOOP.format("a")} == told(faults(source, text, site=site))


@pytest.mark.parametrize("target", [inside("web"), "db.example"])
def test_a_chain_is_as_long_as_servers_follow(source: Path, target: str) -> None:
    def chain(length: int) -> str:
        targets = [*(inside(f"a{number}") for number in range(1, length)), target]
        return WEB + "".join(alias(f"a{number}", each) for number, each in enumerate(targets))

    assert [] == faults(source, chain(MAX_ALIASES))
    assert {
        "a0": f"spec.externalName: a chain of {MAX_ALIASES + 1} ExternalNames begins here, and "
        f"servers follow {MAX_ALIASES}; use a target nearer to its end"
    } == told(faults(source, chain(MAX_ALIASES + 1)))
