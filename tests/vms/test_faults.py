"""Faults: a clear error on the host that has one, the others go on, and a run after it completes."""

import pytest

from tests.vms.conftest import POOL, Hypervisors

pytestmark = pytest.mark.vms

_LIBVIRT = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"


def test_where_libvirt_does_not_answer_the_others_go_on(lab: Hypervisors) -> None:
    lab.declare({"v1": {}, "v2": {"hypervisor": "hv2"}})
    lab.on("hv1", f"systemctl stop {_LIBVIRT}")
    try:
        failed = lab.deploy(hosts="hypervisors")
        assert not failed.ok
        assert "libvirt does not answer: failed to connect to the hypervisor" in failed.text
        assert "systemctl status libvirtd" in failed.text
        assert lab.state("v2", "hv2") == "running"
    finally:
        lab.on("hv1", "systemctl start libvirtd.socket libvirtd.service")
    assert lab.deploy(hosts="hypervisors").ok
    assert lab.state("v1") == "running"
    assert lab.deploy(hosts="hypervisors").changed == ()


def test_a_full_disk_is_said_and_the_next_run_completes(lab: Hypervisors) -> None:
    pool = "/mnt/small"
    lab.on("hv1", f"mkdir -p {pool} && mount -t tmpfs -o size=400k small {pool}")
    lab.on("hv1", f"mkdir {pool}/images && cp {POOL}/images/halting.qcow2 {pool}/images")
    try:
        lab.declare({"v6": {}}, site="small", pool=pool, network="small", octet=79)
        failed = lab.deploy()
        assert not failed.ok
        assert "No space left on device" in failed.text
        lab.on("hv1", f"mount -o remount,size=50m {pool}")
        assert lab.deploy().ok
        assert lab.state("v6") == "running"
        assert lab.deploy().changed == ()
        assert lab.on("hv1", f"find {pool} -name '*.new'") == ""
        lab.declare({}, site="small", pool=pool, network="other", octet=80)
        assert lab.deploy("purge=true").ok
    finally:
        for each in ("pool-destroy groundplane-small", "pool-undefine groundplane-small"):
            lab.on("hv1", f"virsh {each}", check=False)
        for each in ("net-destroy other", "net-undefine other"):
            lab.on("hv1", f"virsh {each}", check=False)
        lab.on("hv1", f"umount --lazy {pool}")
