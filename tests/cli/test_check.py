"""`groundplane check` and `groundplane compile`."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode
from tests.cli.run import SITE, Command, Done

GOOD = "site: 1 node, 2 services, 2 workloads: good\n"

WITHOUT_WARNINGS = SITE.replace("selector: {app: db}, ", "")


def test_a_good_catalog(groundplane: Command, site: Path) -> None:
    assert GOOD == groundplane("check", "site").err


def test_every_fault_is_a_line_of_the_data(groundplane: Command, site: Path) -> None:
    bad = SITE.replace("port: 80,", "port: 0,").replace("node: n1, host", "node: n2, host")
    (site / "site.yaml").write_text(bad)
    done = groundplane("check", "site")
    assert (1, "site: 2 faults\n") == (done.status, done.err)
    assert 2 == len(done.out.splitlines())
    assert all(line.startswith("site/site.yaml:") for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("option", "status"), [([], 0), (["--strict"], 1), (["--strict", "--allow-skipped"], 0)]
)
def test_what_is_skipped_is_a_note_and_an_error_when_strict(
    groundplane: Command, site: Path, option: list[str], status: int
) -> None:
    (site / "site.yaml").write_text(WITHOUT_WARNINGS)
    (site / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")
    done = groundplane("check", *option, "site")
    assert status == done.status
    assert "site: note: 1 Pod document skipped: nothing in this kind is for us" in done.out


def test_strict_says_what_it_does_not_accept(groundplane: Command, site: Path) -> None:
    (site / "site.yaml").write_text(WITHOUT_WARNINGS)
    (site / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")
    (site / "old.YAML").touch()
    web = "apiVersion: v1\nkind: Service\nmetadata: {name: no}\n"
    (site / "no.yaml").write_text(f"{web}spec: {{selector: {{a: b}}, clusterIP: None}}\n")
    refused = "not accepted with --strict: 1 warning, files that are not read"
    skipped = ", skipped documents (--allow-skipped accepts these)"
    assert f"{refused}{skipped}\n" in groundplane("check", "--strict", "site").err
    assert f"{refused}\n" in groundplane("check", "--strict", "--allow-skipped", "site").err


def test_what_is_ignored_is_a_note_that_strict_accepts(groundplane: Command, site: Path) -> None:
    (site / "site.yaml").write_text(WITHOUT_WARNINGS)
    (site / "values.yaml").write_text("{{")
    (site / ".groundplaneignore").write_text("values.yaml\n")
    done = groundplane("check", "--strict", "site")
    assert (0, "site: note: .groundplaneignore hides values.yaml\n") == (done.status, done.out)


def test_a_lock_that_would_change_is_a_note(groundplane: Command, site: Path) -> None:
    (site / "addresses.lock").unlink()
    done = groundplane("check", "site")
    assert 0 == done.status
    assert "site: note: addresses.lock is not up to date: the catalog needs addresses" in done.out


def test_compile_prints_the_site_an_agent_works_from(groundplane: Command, site: Path) -> None:
    done = groundplane("compile", "site")
    assert Done(0, encode(compile_source(site)).decode(), "") == done
    assert list(compile_source(site).services) == list(decode(done.out.encode()).every_service())


def test_compile_refuses_a_catalog_whose_lock_would_change(
    groundplane: Command, site: Path
) -> None:
    (site / "addresses.lock").unlink()
    done = groundplane("compile", "site")
    assert (1, "") == (done.status, done.out)
    assert "run `groundplane allocate`" in done.err


def test_that_a_service_has_the_address_of_the_dns_service_is_a_note(
    groundplane: Command, site: Path
) -> None:
    own = SITE.replace("  dns: {clusterIPs: []}\n", "").replace("10.96.0.5", "10.96.0.10")
    (site / "site.yaml").write_text(own)
    (site / "addresses.lock").unlink()
    notes = [line for line in groundplane("check", "site").out.splitlines() if "DNS" in line]
    assert [
        (
            "site: note: 10.96.0.10, which the site's DNS service would have, is a service's: "
            "name another in spec.dns.clusterIPs of the Cluster, or [] for none"
        )
    ] == notes
    (site / "site.yaml").write_text(own.replace("10.96.0.10", "10.96.0.9"))
    assert "DNS" not in groundplane("check", "site").out
