"""Units of services that run what others wrote: their end is not the service's."""

import pytest

from groundplane.rendering import render_template

VALUES = {"directory": "/opt/groundplane", "user": "nobody", "allow_list": "/etc/groundplane/exec"}


@pytest.mark.parametrize("unit", ["groundplane-agent", "groundplane-exec"])
def test_the_service_goes_on_when_the_kernel_kills_a_child_for_its_memory(unit: str) -> None:
    """systemd.service(5): by default a unit is stopped when one of its processes is."""
    lines = render_template(f"{unit}.service.j2", **VALUES).splitlines()
    service = lines[lines.index("[Service]") : lines.index("[Install]")]
    assert "OOMPolicy=continue" in service
