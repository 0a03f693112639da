"""What a machine has to have left for the nodes of a lab: instances of inotify."""

import ctypes
import os
from pathlib import Path

import pytest

from groundplane_deploys.lab.base import TREES
from groundplane_deploys.lab.preflight import INOTIFY, check_inotify, count_inotify


@pytest.mark.parametrize(
    ("needed", "in_use"),
    [
        pytest.param(21, 0, id="a small lab"),
        pytest.param(126, 2, id="as many as there are"),
        pytest.param(0, 200, id="nothing boots"),
    ],
)
def test_nodes_boot_as_long_as_there_are_instances(needed: int, in_use: int) -> None:
    assert [] == list(check_inotify(needed, in_use=in_use, limit=128))


def test_more_nodes_than_the_machine_allows_are_refused_with_the_remedy() -> None:
    [told] = check_inotify(210, in_use=18, limit=128)
    assert told == (
        "inotify: the nodes that boot need 210 instances, and root has 18 of 128 in use: "
        "sysctl fs.inotify.max_user_instances=228"
    )
    assert [] == list(check_inotify(210, in_use=18, limit=228))


def test_every_kind_of_node_has_its_number() -> None:
    assert set(TREES) == set(INOTIFY)


def test_instances_are_counted_by_user(tmp_path: Path) -> None:
    descriptors = tmp_path / "12" / "fd"
    descriptors.mkdir(parents=True)
    (tmp_path / "13").mkdir()  # a process that is about to end
    for name, target in (("3", "anon_inode:inotify"), ("4", "anon_inode:[eventfd]")):
        (descriptors / name).symlink_to(target)
    assert 1 == count_inotify(tmp_path, uid=os.getuid())
    assert 0 == count_inotify(tmp_path, uid=os.getuid() + 1)


def test_an_instance_of_this_process_is_seen() -> None:
    own = Path("/proc/self/fd")
    made = ctypes.CDLL(None, use_errno=True).inotify_init()
    assert made >= 0
    try:
        assert "anon_inode:inotify" == str((own / str(made)).readlink())
        assert count_inotify(Path("/proc"), uid=os.getuid()) >= 1
    finally:
        os.close(made)
