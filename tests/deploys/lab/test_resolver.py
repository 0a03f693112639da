"""The resolver serves its own zone on the gateway, and nothing else to anyone."""

from pathlib import Path

import pytest

from groundplane_deploys.lab import resolver
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.resolver import format_config, format_zone

LAB = Lab(state=Path("/var/lib/lab"))


def test_it_listens_on_the_gateway_only() -> None:
    text = format_config(LAB)

    assert "listen-on { 192.168.50.1; };" in text
    assert "listen-on-v6 { fd50::1; };" in text
    assert "recursion no;" in text


def test_a_family_the_gateway_lacks_is_not_listened_on() -> None:
    text = format_config(Lab(gateway=("192.168.50.1/24",)))

    assert "listen-on-v6 { none; };" in text


def test_the_zone_has_the_records_that_deploys_look_for() -> None:
    lines = [line.split(None, 3) for line in format_zone(LAB).splitlines()]

    assert ["www", "IN", "A", "192.0.2.80"] in lines
    assert ["www", "IN", "AAAA", "2001:db8::80"] in lines
    assert ["ns", "IN", "AAAA", "fd50::1"] in lines
    assert any(line[0] == "@" and line[2] == "TXT" for line in lines if len(line) == 4)


def test_named_leaves_a_profile_only_where_there_may_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's kernel has AppArmor, and a machine without its package no profiles and no aa-exec."""
    enabled = tmp_path / "enabled"
    enabled.write_text("Y\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [] == resolver.unconfined(enabled)
    (tmp_path / "aa-exec").touch(mode=0o755)
    assert ["aa-exec", "--profile=unconfined", "--"] == resolver.unconfined(enabled)
    enabled.write_text("N\n")
    assert [] == resolver.unconfined(enabled)
