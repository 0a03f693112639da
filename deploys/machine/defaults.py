"""Defaults that host and group data may override."""

from groundplane.deploy_api import SERIALS_FILE

STATE_DIRECTORY = "/var/lib/groundplane"
SERIALS = f"{STATE_DIRECTORY}/{SERIALS_FILE}"
PACKAGES = ("bind9", "bind9-utils", "conntrack", "iproute2", "kmod", "nftables", "python3")
DEFAULTS = {
    "packages": list(PACKAGES),
    # Versions that apt is to keep to, by package: {"bind9*": "1:9.18.*"} (apt_preferences(5)).
    "package_versions": {},
    "catalog_directory": "/etc/groundplane/catalog",
    # Of a central source: its URL, and files of this machine by their names in the trust directory.
    "source": "",
    "trust": {},
    "source_packages": ["ca-certificates", "git", "openssh-client"],
    # Absolute paths of programs on the node that exec probes may run; none: exec probes are off.
    "exec_probes": [],
    # Metrics listener: ADDRESS:PORT, "node:PORT" for the node's own address, "" for none.
    "metrics_address": "127.0.0.1:10249",
    # Seconds for the agent to report that it is in sync; 0: do not wait.
    "agent_timeout": 60,
    "environment_directory": "/opt/groundplane",
    # Maximum of tracked connections; a higher existing limit stays.
    "conntrack_max": 262144,
}
