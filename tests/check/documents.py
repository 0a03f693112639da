"""A Service as it is written in the tests, and what is told of it."""

from collections.abc import Mapping

from tests.catalogs import DUAL

PORTS = "ports: [{port: 80}]"
EXTERNAL = """\
  externalIPCIDRs: [198.51.100.0/24, '2001:db8:1::/64']
  loadBalancerPools:
  - {name: public, cidrs: [203.0.113.0/28, '2001:db8:2::/112']}
  - {name: lab, cidrs: [203.0.113.64/30]}
  dns: {forwarders: [198.51.100.53]}
"""
# A site of both families, with addresses from outside.
SITE = DUAL.replace("spec:\n", f"spec:\n{EXTERNAL}", 1)


def service(*spec: str, name: str = "web", annotations: Mapping[str, str] | None = None) -> str:
    """Return a Service with *spec* from line 5 on."""
    lines = "".join(f"  {line}\n" for line in spec)
    notes = ", ".join(f"{key}: '{value}'" for key, value in (annotations or {}).items())
    meta = f"{{name: {name}, annotations: {{{notes}}}}}" if notes else f"{{name: {name}}}"
    return f"apiVersion: v1\nkind: Service\nmetadata: {meta}\nspec:\n{lines}"


def told(line: int, path: str, fault: str) -> list[str]:
    return [f"site/test.yaml:{line}: Service/default/web: {path}: {fault}"]
