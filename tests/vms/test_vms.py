"""VMs under a real libvirt: as declared after a run, and left alone by the next."""

import pytest

from groundplane_deploys.plan.libvirt.identity import mac_of
from groundplane_deploys.plan.libvirt.paths import disk
from tests.vms.conftest import POOL, Hypervisors

pytestmark = pytest.mark.vms


def test_a_vm_is_as_declared_and_a_second_run_changes_nothing(lab: Hypervisors) -> None:
    lab.declare({"one": {"cpus": 2}, "two": {"state": "off", "autostart": False}})
    assert lab.deploy().ok
    assert (lab.state("one"), lab.state("two")) == ("running", "shut off")
    xml = lab.on("hv1", "virsh dumpxml one")
    assert f"<mac address='{mac_of('one')}'/>" in xml
    assert "<vcpu placement='static'>2</vcpu>" in xml
    assert f"{POOL}/images/halting.qcow2" in xml
    assert "Autostart:      enable" in lab.on("hv1", "virsh dominfo one")
    assert "Autostart:      disable" in lab.on("hv1", "virsh dominfo two")
    assert "one.qcow2" in lab.on("hv1", "virsh vol-list groundplane-vmtest")
    assert lab.on("hv1", f"stat -c %a {POOL}/seeds/two.iso {POOL}/host-keys/one") == "600\n600"
    assert lab.deploy().changed == ()


def test_a_disk_names_the_image_itself_and_not_the_link_to_the_newest(lab: Hypervisors) -> None:
    """Otherwise a newer image would change what is below a disk that is in use."""
    images = f"{POOL}/images"
    lab.on(
        "hv1", f"cd {images} && cp halting.qcow2 debian-1.qcow2 && cp halting.qcow2 debian-2.qcow2"
    )
    lab.on("hv1", f"ln -sfn debian-1.qcow2 {images}/debian.qcow2")
    try:
        lab.declare({"linked": {"image": "debian"}})
        assert lab.deploy().ok
        backing = f"qemu-img info -U {disk(POOL, 'linked')} | grep '^backing file:'"
        assert f"backing file: {images}/debian-1.qcow2" == lab.on("hv1", backing).strip()
        lab.on("hv1", f"ln -sfn debian-2.qcow2 {images}/debian.qcow2")
        newer = lab.deploy()
        assert newer.changed == ()
        assert f"its disk began as {images}/debian-1.qcow2 and stays so" in newer.text
    finally:
        lab.declare({"v1": {}})
        lab.deploy("purge=true")
        lab.on("hv1", f"rm {images}/debian*.qcow2")


def test_a_change_waits_for_a_restart_and_says_so(lab: Hypervisors) -> None:
    lab.declare({"v1": {}})
    lab.deploy("restart=true")
    lab.declare({"v1": {"memory": "160Mi"}})
    waiting = lab.deploy()
    assert waiting.ok
    said = "VM v1: memory 131072 -> 163840: needs a restart; --data restart=true does it"
    assert said in waiting.text
    assert "131072" in lab.on("hv1", "virsh dumpxml v1 | grep '<memory'")
    assert "163840" in lab.on("hv1", "virsh dumpxml --inactive v1 | grep '<memory'")
    again = lab.deploy()
    assert (again.changed, said in again.text) == ((), True)
    restarted = lab.deploy("restart=true")
    assert restarted.changed == ("VMs | v1 runs",)
    assert "163840" in lab.on("hv1", "virsh dumpxml v1 | grep '<memory'")
    last = lab.deploy("restart=true")
    assert (last.changed, "needs a restart" in last.text) == ((), False)


def test_what_is_stopped_by_hand_runs_again(lab: Hypervisors) -> None:
    lab.declare({"v1": {}})
    lab.deploy("restart=true")
    lab.on("hv1", "virsh destroy v1")
    assert lab.deploy().changed == ("VMs | v1 runs",)
    lab.on("hv1", "virsh suspend v1")
    assert lab.deploy().changed == ("VMs | v1 runs",)
    assert lab.state("v1") == "running"


def test_somebody_elses_domain_stops_the_run_before_anything_is_touched(lab: Hypervisors) -> None:
    foreign = "<domain type='qemu'><name>v9</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    lab.on("hv1", "virsh define /dev/stdin", stdin=foreign)
    before = lab.on("hv1", "virsh dumpxml v9")
    try:
        lab.declare({"v8": {}, "v9": {}})
        refused = lab.deploy()
        assert not refused.ok
        assert 'domain "v9" is somebody else\'s: nothing of it is touched' in refused.text
        assert (lab.on("hv1", "virsh dumpxml v9"), lab.state("v8")) == (before, "")
        lab.declare({"v8": {"state": "off"}})
        assert lab.deploy("purge=true").ok
        assert lab.on("hv1", "virsh dumpxml v9") == before
    finally:
        lab.on("hv1", "virsh undefine v9")


def test_without_its_node_a_vm_is_off_and_kept_until_it_is_purged(lab: Hypervisors) -> None:
    lab.declare({"v1": {}, "v3": {}})
    lab.deploy()
    lab.declare({"v1": {}})
    retired = lab.deploy()
    assert "VM v3: there is no Node for it any more" in retired.text
    assert (lab.state("v3"), lab.deploy().changed) == ("shut off", ())
    assert "disable" in lab.on("hv1", "virsh dominfo v3 | grep Autostart")
    files = f"ls {POOL}/disks/v3.qcow2 {POOL}/seeds/v3.iso {POOL}/host-keys/v3"
    assert lab.on("hv1", files).count("v3") == 3
    assert lab.deploy("purge=true").changed == ("VMs | VMs without a Node are gone",)
    assert (lab.state("v3"), lab.state("v1")) == ("", "running")
    assert lab.on("hv1", f"ls -R {POOL} | grep v3", check=False) == ""


def test_reservations_come_and_go_while_the_network_is_up(lab: Hypervisors) -> None:
    lab.declare({"v1": {}, "v4": {"addressing": "dhcp", "state": "off"}})
    lab.deploy("restart=true")
    reservation = f"<host mac='{mac_of('v4')}' name='v4' ip='10.78.0.12'/>"
    assert reservation in lab.on("hv1", "virsh net-dumpxml vms")
    assert lab.deploy().changed == ()
    lab.declare({"v1": {}})
    lab.deploy()
    assert reservation not in lab.on("hv1", "virsh net-dumpxml vms")
    assert reservation not in lab.on("hv1", "virsh net-dumpxml --inactive vms")
    assert lab.state("v1") == "running"
    lab.deploy("purge=true")


def test_a_network_changes_with_a_restart_of_its_vms(lab: Hypervisors) -> None:
    lab.declare({"v1": {}, "v7": {"state": "off"}}, mtu=1500)
    lab.deploy("restart=true")
    lab.declare({"v1": {}, "v7": {"state": "off"}}, mtu=1400)
    waiting = lab.deploy()
    assert "network vms: mtu 1500 -> 1400: needs a restart that cuts off its VMs" in waiting.text
    assert "1500" in lab.on("hv1", "cat /sys/class/net/vms/mtu")
    assert lab.deploy("restart=true").ok
    assert "1400" in lab.on("hv1", "cat /sys/class/net/vms/mtu")
    assert "<mtu size='1400'/>" in lab.on("hv1", "virsh dumpxml v1")
    assert lab.deploy().changed == ()


def test_a_disk_grows_while_the_vm_runs_and_is_never_shrunk(lab: Hypervisors) -> None:
    lab.declare({"v1": {}, "v5": {"state": "off"}})
    lab.deploy("restart=true")
    lab.declare({"v1": {"disk": "2Gi"}, "v5": {"state": "off", "disk": "2Gi"}})
    assert lab.deploy().changed == ("VMs | v1 has its disk", "VMs | v5 has its disk")
    size = "virsh domblkinfo {} vda | awk '/Capacity/ {{print $2}}'"
    assert {lab.on("hv1", size.format(name)) for name in ("v1", "v5")} == {str(2 << 30)}
    assert lab.deploy().changed == ()
    lab.declare({"v1": {}, "v5": {"state": "off", "disk": "2Gi"}})
    refused = lab.deploy()
    assert not refused.ok
    assert f"VM v1: its disk has {2 << 30} bytes, and is not shrunk to {1 << 30}" in refused.text
    lab.declare({})
    lab.deploy("purge=true")


def test_a_snapshot_is_made_once_and_reverted_to(lab: Hypervisors) -> None:
    lab.declare({"v1": {}})
    lab.deploy()
    script = lab.directory / "snapshots.py"
    script.write_text(
        "from groundplane_deploys.operations import domains\n"
        'domains.snapshot(name="There is a snapshot", domain="v1", snapshot="first")\n'
    )
    assert len(lab.deploy(what=str(script)).changed) == 1
    assert lab.deploy(what=str(script)).changed == ()
    lab.on("hv1", "virsh destroy v1")
    script.write_text(
        "from groundplane_deploys.operations import domains\n"
        'domains.reverted(name="It is as it was", domain="v1", snapshot="first")\n'
    )
    assert lab.deploy(what=str(script)).ok
    assert lab.state("v1") == "running"
    assert lab.deploy().changed == ()
    lab.declare({})
    assert lab.deploy("purge=true").ok
    assert lab.state("v1") == ""
