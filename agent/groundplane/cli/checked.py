"""What `groundplane check` says of a catalog."""

import msgspec


class Checked(msgspec.Struct, frozen=True):
    """The *lines* to print, and what decides whether the catalog is accepted.

    *faults* says how many faults it has, and *lock_outdated* why its lock is not up to date; both
    are "" if all is well.
    """

    lines: tuple[str, ...]
    faults: str = ""
    counts: str = ""
    warned: int = 0
    lock_outdated: str = ""
    has_notices: bool = False
    has_skipped: bool = False

    def refused(self, *, allow_skipped: bool) -> str:
        """Return what --strict does not accept, "" for nothing."""
        found = []
        if self.warned:
            found.append(f"{self.warned} warning{'' if self.warned == 1 else 's'}")
        if self.has_notices:
            found.append("files that are not read")
        if self.has_skipped and not allow_skipped:
            found.append("skipped documents (--allow-skipped accepts these)")
        return ", ".join(found)
