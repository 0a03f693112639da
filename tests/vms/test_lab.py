"""The lab on a machine of its own, as a person has it: stock kernel, systemd first, udev, AppArmor.

The machine has no way to any network: what `make up` takes from elsewhere is in the caches of this one.
"""

import platform

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab.base import ensure_base
from groundplane_deploys.lab.model import PYTHONS, Lab
from groundplane_deploys.wheelhouse import wheelhouse_for
from tests.sites import CLUSTER
from tests.vms.booted import run_booted

pytestmark = [pytest.mark.vms, pytest.mark.slow]

# Two nodes with little to do, since the machine is an emulated one.
SITE = (
    CLUSTER
    + """\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""
)
NODE = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n{number}}}
spec:
  addresses: [192.168.50.1{number}, "fd50::1{number}"]
  management: {{host: 192.168.50.1{number}}}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: web-{number}, labels: {{app: web}}}}
spec: {{node: n{number}, ports: [{{name: http, port: 8080}}]}}
"""

# What a lab could leave.
COMMAND = """
set -eu
mkdir /root/small
cat >/root/small/site.yaml <<'E'
SITE
E
.venv/bin/groundplane allocate /root/small
traces() {
  systemctl list-units --all --plain --no-legend 'gp*' '*nspawn*' 'machine-*' | cut -d' ' -f1
  systemctl --failed --plain --no-legend
  cut -d' ' -f2 /proc/mounts
  ip -o link | cut -d: -f2
  ip netns
  find /sys/fs/cgroup -name '*gp*'
  find /run/systemd/nspawn /run/systemd/machines /run/systemd/transient /run/netns -mindepth 1
  ls /var/lib
  ps -e -o args= | grep -E 'gp-lab|nspawn' | grep -v grep
  nft list ruleset
}
# These two iproute2 and systemd-nspawn make once, and keep.
ip netns add first
ip netns delete first
mkdir -p /run/systemd/nspawn/propagate /run/systemd/nspawn/locks
aa-exec --profile=named true || echo "no profile of named"
traces >/tmp/before || true
make up LAB=nspawn GROUNDPLANE_SOURCE=/root/small
export GROUNDPLANE_SOURCE=lab/site
systemctl list-units --plain --no-legend 'gp-lab-*'
on() { ip netns exec gp-lab ssh -n -F /var/lib/groundplane-gp-lab/ssh/config "$@"; }
boot=$(on n2 cat /proc/sys/kernel/random/boot_id)
on n2 systemctl reboot || true
for n in $(seq 300); do
  now=$(on n2 cat /proc/sys/kernel/random/boot_id) && [ "$now" != "$boot" ] && break
  sleep 1
done
echo "n2 booted: $boot, then $now"
systemctl kill --signal=KILL gp-lab-n1.service
sleep 1
.venv/bin/python -m groundplane_deploys.lab status || true
.venv/bin/python -m groundplane_deploys.lab up
.venv/bin/python -m groundplane_deploys.lab status
make down
traces >/tmp/after || true
diff /tmp/before /tmp/after
"""


def test_it_comes_up_is_repaired_and_leaves_nothing() -> None:
    ensure_base(Lab().cache)
    wheelhouse_for(PYTHONS["node"], platform.machine())
    site = SITE + "".join(NODE.format(number=number) for number in (1, 2))
    status, output = run_booted(COMMAND.replace("SITE\n", site), ROOT, within=3600)
    assert status == 0, output
    units = {line.split()[0] for line in output.splitlines() if line.startswith("gp-lab-")}
    assert {f"gp-lab-{each}.service" for each in ("git", "n1", "n2", "resolver")} == units
    assert "The lab is up." in output
    assert "no profile of named" not in output
    before, after = output.split("n2 booted: ")[1].splitlines()[0].split(", then ")
    assert before != after, output
