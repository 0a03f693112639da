"""Requests of objects to a pool, and the order in which the pool serves them.

Objects that hold a number keep it. Objects whose document fixes a number are next, then objects
that accept any number.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from groundplane.allocate.lock import LOCK_NAME, Lock
from groundplane.allocate.pool import Outside, Pool
from groundplane.documents.catalog import Catalog, DocumentKey
from groundplane.documents.families import site_families
from groundplane.errors import Fault
from groundplane.net import address
from groundplane.net.protocols import Family

_NOUNS: Final = {"NodePort": "a port", "HealthCheck": "a port"}


class AddressRequest(NamedTuple):
    """Request of an object to a pool: the number its document fixes, the number it holds, or any.

    Errors are reported at *document*, and at *path* in it if the number is fixed.
    """

    key: DocumentKey
    document: DocumentKey
    fixed: int | None
    held: int | None
    text: str  # of the fixed or held number
    path: str

    @property
    def wanted(self) -> int | None:
        return self.held if self.fixed is None else self.fixed

    @property
    def order(self) -> tuple[bool, bool, DocumentKey]:
        keeps = self.held is not None and self.fixed in (None, self.held)
        return not keeps, self.fixed is None, self.key


def _remedy(ask: AddressRequest, error: ValueError) -> str:
    """Return the fix for a cluster IP outside all ranges of the cluster."""
    if ask.document.kind != "Service" or not isinstance(error, Outside):
        return ""
    field = ask.path.removeprefix("spec.").partition("[")[0]
    return f"; leave {field} out, or give the Cluster a range that has it"


def request_address(
    key: DocumentKey, document: DocumentKey, fixed: str | None, held: str | None, path: str
) -> AddressRequest:
    """Return the request for one address."""
    return AddressRequest(
        key,
        document,
        address.to_int(fixed) if fixed else None,
        address.to_int(held) if held else None,
        fixed or held or "",
        path,
    )


class AllocationContext:
    """State of one allocation. It collects errors, so that all are reported at once."""

    def __init__(self, catalog: Catalog, lock: Lock) -> None:
        self.catalog = catalog
        self.lock = lock
        self.faults: list[Fault] = []
        self.families = site_families(catalog.cluster)

    def fault(self, document: DocumentKey, path: str, message: str) -> None:
        self.faults.append(self.catalog.fault(document, path, message))

    def held(self, key: DocumentKey, family: Family) -> str | None:
        """Return the address or range of *family* that *key* holds in the lock."""
        for text in self.lock.held.get(key, ()):
            if address.family_of(text) == family:
                return text
        return None

    def released(self, family: Family) -> dict[int, int]:
        """Return the turn (order of release) of each released address of *family*."""
        return {
            address.to_int(text): turn
            for text, turn in self.lock.released.items()
            if not text.isdecimal() and "/" not in text and address.family_of(text) == family
        }

    def serve(
        self, pool: Pool, family: Family, asks: Iterable[AddressRequest]
    ) -> dict[DocumentKey, int]:
        """Give each of *asks* its number from *pool*."""
        given: dict[DocumentKey, int] = {}
        waiting = []
        for ask in asks:
            # A lock has no number twice: among those who keep theirs, the order does not matter.
            if ask.fixed is None and ask.held is not None and pool.gives(ask.held, ask.key):
                given[ask.key] = ask.held
            else:
                waiting.append(ask)
        for ask in sorted(waiting, key=lambda ask: ask.order):
            number = ask.wanted
            try:
                if number is None:
                    number = pool.pick(ask.key, f"{ask.key}/{family}")
                else:
                    pool.take(number, ask.key)
            except ValueError as error:
                self.refused(ask, error)
                continue
            given[ask.key] = number
        return given

    def refused(self, ask: AddressRequest, error: ValueError) -> None:
        """Record that *ask* gets no number, because of *error*."""
        if ask.fixed is not None:
            self.fault(ask.document, ask.path, f"{ask.text} {error}{_remedy(ask, error)}")
        elif ask.held is not None:
            line = "its line" if ask.key == ask.document else f"the line of {ask.key}"
            self.fault(
                ask.document,
                "",
                f"{ask.text}, which {LOCK_NAME} gives it, {error}; "
                f"{_NOUNS.get(ask.key.kind, 'an address')} is never changed automatically: "
                f"delete {line} in {LOCK_NAME} to have a new one",
            )
        else:
            self.fault(ask.document, "", str(error))
