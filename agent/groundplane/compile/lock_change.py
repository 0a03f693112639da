"""What differs between two locks of one source, at next to no cost for the lines that are equal. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import le
from typing import Final

from groundplane.allocate import Lock, parse_lock
from groundplane.compile.whole_needed import WholeNeeded
from groundplane.documents.catalog import DocumentKey
from groundplane.errors import CatalogError
from groundplane.site.ends import common_ends

_LOCAL: Final = (b"Service/", b"Workload/", b"released/")
_RELEASED: Final = b"released/"
_PLAIN: Final = bytes(range(ord(" "), ord("~") + 1)) + b"\n"
_FEW: Final = 20  # values that are looked up one by one


class LockChange:
    """The lines of a lock, and those that came and went since another one.

    WholeNeeded if others than those of services and workloads differ, or the lock is not valid by
    its changed lines. The lock before was valid.
    """

    def __init__(self, before: bytes, after: bytes) -> None:
        old, new = before.splitlines(), after.splitlines()
        same = common_ends(old, new)
        middle = [each[same.start : len(each) - same.end] for each in (old, new)]
        self.gone = [*(Counter(middle[0]) - Counter(middle[1]))]
        self.came = [*(Counter(middle[1]) - Counter(middle[0]))]
        if after.translate(None, _PLAIN) or (after and not after.endswith(b"\n")):
            raise WholeNeeded("the lock has another character than `groundplane allocate` writes")
        if not all(b" " in line for line in self.came):
            raise WholeNeeded("a line of the lock has no value")
        if not all(line.startswith(_LOCAL) for line in (*self.gone, *self.came)):
            raise WholeNeeded("the lock of others than services and workloads has changed")
        count = len(new)
        while count and new[count - 1].startswith(_RELEASED):
            count -= 1
        self._held, self._released = new[:count], new[count:]
        if not all(map(le, self._held, self._held[1:])):
            raise WholeNeeded("the lock is not sorted")
        self._require_unique(after)

    def _require_unique(self, after: bytes) -> None:
        """Raise WholeNeeded if a line has a value of a line that came."""
        values = [value for line in self.came for value in line.split(b" ")[1:]]
        if len(values) > _FEW:
            counts = Counter(value for line in after.splitlines() for value in line.split(b" ")[1:])
            occurrences = [counts[value] for value in values]
        else:
            occurrences = [
                after.count(b" " + value + b"\n") + after.count(b" " + value + b" ")
                for value in values
            ]
        if occurrences.count(1) != len(values):
            raise WholeNeeded("the lock has a value twice")

    def objects(self) -> set[DocumentKey]:
        """Return the services and workloads of which lines came or went."""
        lines = (line for line in (*self.gone, *self.came) if not line.startswith(_RELEASED))
        found = set()
        for line in lines:
            kind, *names = line.partition(b" ")[0].decode(errors="replace").split("/")
            if len(names) != 2:
                raise WholeNeeded("a line of the lock is not valid")
            found.add(DocumentKey(kind, *names))
        return found

    def values(self) -> set[str]:
        """Return the values of the lines that came or went."""
        lines = (*self.gone, *self.came)
        return {value.decode(errors="replace") for line in lines for value in line.split(b" ")[1:]}

    def holds(self, key: DocumentKey) -> bool:
        """Return whether the object *key* holds anything."""
        return any(next(self._below(prefix), None) is not None for prefix in _prefixes(key))

    def part(self, keys: Iterable[DocumentKey]) -> Lock:
        """Return the lock of all nodes and of the objects *keys*, and everything that is released."""
        lines = [*self._below(b"Node/")]
        lines += (line for key in keys for prefix in _prefixes(key) for line in self._below(prefix))
        text = b"".join(line + b"\n" for line in (*lines, *self._released))
        try:
            return parse_lock(text.decode(), "")
        except (CatalogError, UnicodeDecodeError):
            raise WholeNeeded("the lock is not valid") from None

    def _below(self, prefix: bytes) -> Iterator[bytes]:
        index = bisect_left(self._held, prefix)
        while index < len(self._held) and self._held[index].startswith(prefix):
            yield self._held[index]
            index += 1


def _prefixes(key: DocumentKey) -> list[bytes]:
    """Return how the lines begin of what the object *key* holds."""
    name = f"{key.namespace}/{key.name}"
    if key.kind == "Workload":
        return [f"Workload/{name} ".encode()]
    return [
        f"Service/{name} ".encode(),
        f"LoadBalancer/{name} ".encode(),
        f"HealthCheck/{name} ".encode(),
        f"NodePort/{name}/".encode(),
    ]
