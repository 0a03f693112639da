"""Shell code for a hypervisor: wait until a VM answers by ssh with its own host key, or fail.

The reason of a failure is printed.
"""

import shlex

from groundplane_deploys.plan.libvirt.machine import Machine

_SCRIPT = """\
domain={domain} address={address} key_file={key_file}
key=$(cut -d' ' -f2 "$key_file" 2>/dev/null)
began=$(date +%s)
while :; do
  offered=$(ssh-keyscan -T 2 -t ed25519 "$address" 2>/dev/null | cut -d' ' -f3)
  test -n "$key" && test "$offered" = "$key" && exit 0
  state=$({virsh} domstate "$domain" 2>&1 | head -n 1)
  waited=$(($(date +%s) - began))
  test "$state" = running && test $waited -lt {limit} || break
  sleep 1
done
refusal=$(timeout 3 bash -c ": </dev/tcp/$address/22" 2>&1 | grep -o 'Connection refused' | head -n 1)
if test "$state" != running; then why="the domain is not running: $state"
elif test -z "$key"; then why="no host key in $key_file"
elif test -n "$offered"; then why="another host key is offered"
elif test -n "$refusal"; then why=$refusal
elif ping -c 1 -W 2 "$address" >/dev/null 2>&1; then why="port 22 does not answer; ping does"
else why="no answer to ping; the VM did not boot or has another address"
fi
missing="no ssh with its host key at $address:22 after $waited s"
echo "VM $domain: $missing: $why; see: virsh console $domain" >&2
exit 1
"""


def wait_script(machine: Machine, limit: int, virsh: str) -> str:
    """Return code that ends with 0 once *machine* answers, or with 1 and the reason.

    It gives up after *limit* seconds, or at once if the domain does not run.
    """
    return _SCRIPT.format(
        domain=shlex.quote(machine.name),
        address=shlex.quote(machine.reachable_host),
        key_file=shlex.quote(f"{machine.host_key}.pub"),
        limit=limit,
        virsh=virsh,
    )
