"""The lab's resolver: the name server that nodes forward to."""

import shutil
import socket
import time
from pathlib import Path

from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.model import RESOLVER, Lab
from groundplane_deploys.lab.namespace import entered
from groundplane_deploys.lab.network import inside
from groundplane_deploys.lab.services import Services
from groundplane_deploys.lab.ssh import tail

ZONE = "example.test"

RECORDS = """\
@    IN TXT  "the site's own zone"
www  IN A    192.0.2.80
www  IN AAAA 2001:db8::80
www  IN TXT  "a web server of the site"
"""

_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")


def start_resolver(lab: Lab, services: Services) -> None:
    """Start named in the lab's network."""
    lab.resolver_dir.mkdir(parents=True, exist_ok=True)
    config = lab.resolver_dir / "named.conf"
    config.write_text(format_config(lab))
    (lab.resolver_dir / "zone").write_text(format_zone(lab))
    argv = [*unconfined(_APPARMOR), "named", "-g", "-n", "1", "-c", str(config)]
    services.start(RESOLVER, inside(lab.prefix, argv), lab.log(RESOLVER))


def wait_for_resolver(lab: Lab, limit: float) -> None:
    """Wait until it listens on every gateway address."""
    deadline = time.monotonic() + limit
    with entered(lab):
        for host in lab.gateway_hosts:
            while not _listens(host):
                if time.monotonic() > deadline:
                    log = lab.log(RESOLVER)
                    raise LabError(
                        f"the resolver does not answer on {host}; the end of {log}:\n{tail(log)}"
                    )
                time.sleep(0.05)


def format_config(lab: Lab) -> str:
    """Return named's configuration: one zone, no recursion, no control channel.

    It uses no file outside the lab's state.
    """
    fourth = "".join(f" {host};" for host in lab.gateway_hosts if ":" not in host)
    sixth = "".join(f" {host};" for host in lab.gateway_hosts if ":" in host)
    return f"""\
options {{
    directory "{lab.resolver_dir}";
    pid-file none;
    session-keyfile none;
    listen-on {{{fourth or " none;"} }};
    listen-on-v6 {{{sixth or " none;"} }};
    recursion no;
    allow-query {{ any; }};
    dnssec-validation no;
    notify no;
}};
controls {{ }};
zone "{ZONE}" {{
    type primary;
    file "{lab.resolver_dir}/zone";
}};
"""


def format_zone(lab: Lab) -> str:
    lines = [
        "$TTL 60",
        f"@    IN SOA  ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 60",
        "@    IN NS   ns",
    ]
    lines += [f"ns   IN {'AAAA' if ':' in host else 'A   '} {host}" for host in lab.gateway_hosts]
    return "".join(f"{line}\n" for line in lines) + RECORDS


def unconfined(apparmor: Path) -> list[str]:
    """Return a command prefix to run a program unconfined; *apparmor* is the kernel's Y/N file.

    Distributions' profiles let named read only the directories of the host's own server. Profiles
    come together with aa-exec; a kernel with AppArmor but without profiles confines nothing.
    """
    enabled = apparmor.is_file() and apparmor.read_text().strip() == "Y"
    confined = enabled and shutil.which("aa-exec") is not None
    return ["aa-exec", "--profile=unconfined", "--"] if confined else []


def _listens(host: str) -> bool:
    try:
        with socket.create_connection((host, 53), 1.0):
            return True
    except OSError:
        return False
