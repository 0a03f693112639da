"""The result of `groundplane check`."""

import msgspec


class Checked(msgspec.Struct, frozen=True):
    """The *lines* to print, and what decides whether the catalog is accepted.

    *faults* says how many errors the catalog has, "" for none. *lock_outdated* says why its lock is
    outdated, "" if it is not.
    """

    lines: tuple[str, ...]
    faults: str = ""
    counts: str = ""
    warned: int = 0
    lock_outdated: str = ""
    has_notices: bool = False
    has_skipped: bool = False

    def refused(self, *, allow_skipped: bool) -> str:
        """Return what --strict rejects, "" for nothing."""
        found = []
        if self.warned:
            found.append(f"{self.warned} warning{'' if self.warned == 1 else 's'}")
        if self.has_notices:
            found.append("files that are not read")
        if self.has_skipped and not allow_skipped:
            found.append("skipped documents (--allow-skipped accepts these)")
        return ", ".join(found)
