"""Findings about settings of the kernel, and how sysctl(8) writes their names. Pure."""

from groundplane.diagnosis.facts import Finding, Severity


def sysctl_finding(
    severity: Severity, sysctl: str, message: str, value: str, *more: tuple[str, str]
) -> Finding:
    """Return a finding whose remedy is to set *sysctl* to *value*, and *more* with it."""
    settings = " ".join(f"{sysctl_name(key)}={each}" for key, each in ((sysctl, value), *more))
    return Finding(
        severity,
        f"sysctl {sysctl_name(sysctl)}",
        message,
        f"Run `sysctl -w {settings}`, and keep it in a file of /etc/sysctl.d.",
    )


def sysctl_name(path: str) -> str:
    """Return the path of a setting as sysctl(8) takes it: with dots, unless an interface has one."""
    return path if "." in path else path.replace("/", ".")
