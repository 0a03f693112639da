"""The services that each workload may answer for, at eight bytes an endpoint of the site."""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Final

from groundplane.site import compiled
from groundplane.site.blocks import Key
from groundplane.site.snapshot import Snapshot

_BUCKETS: Final = 1 << 10
_NUMBER_BITS: Final = 24  # of a service's number
_HASH_BITS: Final = 64 - _NUMBER_BITS
_HASH: Final = (1 << _HASH_BITS) - 1
_NUMBER: Final = (1 << _NUMBER_BITS) - 1


class WorkloadIndex:
    """Index of the services that each workload may answer for, by namespace and name.

    An entry is 40 bits of a workload's hash and the number of a service. Ten more bits say in which
    bucket it is; entries of a bucket ascend. A dictionary of names took twelve times the memory.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._keys: list[Key | None] = []  # by the numbers of services
        self._free: list[int] = []
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        for service in snapshot.every_service():
            if places := self._places(service):
                number = self._number(service.key)
                for bucket, hashed in places:
                    bucket.append(hashed | number)
        self._buckets = [array("Q", sorted(bucket)) for bucket in self._buckets]

    def change(self, old: Snapshot, new: Snapshot, keys: Iterable[Key]) -> None:
        """Update the index for the services *keys*, from their versions in *old* to *new*."""
        for key in keys:
            if before := old.service(key):
                self._remove(before)
            if after := new.service(key):
                self._add(after)

    def concerned(self, workloads: Iterable[Key]) -> set[Key]:
        """Return the services that any of *workloads* may answer for.

        Another service may be among them where the hashes of two workloads are equal, which is one
        pair of 10**15.
        """
        keys = (
            self._keys[number]
            for workload in workloads
            for _, number in self._entries(*self._place(*workload))
        )
        return {key for key in keys if key is not None}

    def _number(self, key: Key) -> int:
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
            return number
        self._keys.append(key)
        return len(self._keys) - 1

    def _add(self, service: compiled.Service) -> None:
        if places := self._places(service):
            number = self._number(service.key)
            for bucket, hashed in places:
                insort(bucket, hashed | number)

    def _remove(self, service: compiled.Service) -> None:
        found: int | None = None
        for bucket, hashed in self._places(service):
            for index, number in self._entries(bucket, hashed):
                if self._keys[number] == service.key:
                    del bucket[index]
                    found = number
                    break
        if found is not None:
            self._keys[found] = None
            self._free.append(found)

    def _places(self, service: compiled.Service) -> "list[tuple[array[int], int]]":
        """Return the bucket of each workload of *service*, and an entry without a number."""
        namespace = service.namespace
        return [self._place(namespace, name) for name in service.endpoints.workloads if name]

    def _place(self, namespace: str, name: str) -> "tuple[array[int], int]":
        hashed = hash((namespace, name))
        return self._buckets[hashed >> _HASH_BITS & _BUCKETS - 1], (hashed & _HASH) << _NUMBER_BITS

    @staticmethod
    def _entries(bucket: "array[int]", hashed: int) -> Iterator[tuple[int, int]]:
        """Yield where *bucket* has entries of the workload *hashed*, and the services' numbers."""
        index = bisect_left(bucket, hashed)
        while index < len(bucket) and bucket[index] & ~_NUMBER == hashed:
            yield index, bucket[index] & _NUMBER
            index += 1
