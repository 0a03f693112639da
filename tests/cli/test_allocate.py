"""`groundplane allocate`."""

from pathlib import Path

from tests.cli.run import LOCK, SITE, Command, Done

WRITTEN = """\
+ Node/n1 10.244.1.0/24 fd00:244:0:1::/64
+ Service/default/web 10.96.0.5
+ Workload/default/a 10.244.1.10 fd00:244:0:1::10
"""


def test_the_lock_is_written_and_what_is_new_is_told(groundplane: Command, site: Path) -> None:
    (site / "addresses.lock").unlink()
    told = "site/addresses.lock: written; commit it with the catalog\n"
    assert Done(0, WRITTEN, told) == groundplane("allocate", "site")
    assert LOCK == (site / "addresses.lock").read_text()


def test_a_lock_that_is_up_to_date_is_left_alone(groundplane: Command, site: Path) -> None:
    before = (site / "addresses.lock").stat()
    for option in ([], ["--check"]):
        done = groundplane("allocate", *option, "site")
        assert Done(0, "", "site/addresses.lock: up to date\n") == done
    assert before == (site / "addresses.lock").stat()


def test_check_writes_nothing_and_is_2_when_it_would_change(
    groundplane: Command, site: Path
) -> None:
    (site / "addresses.lock").unlink()
    told = "site/addresses.lock: would change; run `groundplane allocate`\n"
    assert Done(2, WRITTEN, told) == groundplane("allocate", "--check", "site")
    assert not (site / "addresses.lock").exists()


def test_a_lock_that_is_only_written_otherwise_says_so(groundplane: Command, site: Path) -> None:
    lock = site / "addresses.lock"
    lock.write_text("# mine\n" + lock.read_text())
    told = "would be written otherwise, with the same addresses; run `groundplane allocate`\n"
    assert Done(2, "", f"site/addresses.lock: {told}") == groundplane("allocate", "--check", "site")
    assert 0 == groundplane("check", "site").status


def test_a_link_to_the_lock_stays_one(groundplane: Command, site: Path) -> None:
    lock, kept = site / "addresses.lock", Path("kept.lock")
    lock.rename(kept)
    lock.symlink_to("../kept.lock")
    kept.write_text("")
    assert 0 == groundplane("allocate", "site").status
    assert lock.is_symlink()
    assert "Service/default/web" in kept.read_text()


def test_what_is_gone_and_what_moved_is_told(groundplane: Command, site: Path) -> None:
    text = SITE.replace("name: a,", "name: c,").replace("10.96.0.5", "10.96.0.7")
    (site / "site.yaml").write_text(text)
    done = groundplane("allocate", "site")
    assert (
        "~ Service/default/web 10.96.0.7\n"
        "- Workload/default/a 10.244.1.10 fd00:244:0:1::10\n"
        "+ Workload/default/c 10.244.1.10 fd00:244:0:1::10\n"
    ) == done.out


def test_a_catalog_with_a_fault_writes_nothing(groundplane: Command, site: Path) -> None:
    (site / "site.yaml").write_text(SITE.replace("port: 80,", "port: 0,"))
    done = groundplane("allocate", "site")
    assert (1, "") == (done.status, done.out)
    assert done.err.splitlines() == [
        "site/site.yaml:27: Service/default/web: spec.ports[0].port: 0 is not a port: 1 to 65535",
        "error: 1 fault; nothing was changed",
    ]
    assert groundplane("allocate", "--check", "site").err.endswith("\nerror: 1 fault\n")
    assert LOCK == (site / "addresses.lock").read_text()
