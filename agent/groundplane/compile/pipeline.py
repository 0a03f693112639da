"""The pipeline for a source on disk, shared by the commands and the agent's compiler."""

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final

from groundplane.allocate import LOCK_NAME, Allocations, Lock, allocate, parse_lock, require_current
from groundplane.check import check, check_allocated, check_answers
from groundplane.compile.resolve import compile_site
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog, key_of
from groundplane.errors import CatalogError, Fault, LockOutdated, Origin, SourceError
from groundplane.load import ReadFile, load, place, read_file
from groundplane.processes.limits import doing
from groundplane.site import compiled

MAX_LOCK_BYTES: Final = 64 << 20


def read_catalog(source: Path, read: ReadFile = read_file) -> Catalog:
    """Return the catalog of *source*, loaded by *read* and checked; CatalogError lists all errors."""
    catalog = load(source, read)
    doing("checking what was read")
    if faults := check(catalog):
        raise CatalogError(*place(faults))
    return catalog


def read_lock(source: Path) -> bytes:
    """Return the bytes of the lock beside the catalog, b"" if it does not exist yet."""
    path = source / LOCK_NAME
    if not os.path.lexists(path):
        return b""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a FIFO would block
            raise SourceError(f"{path}: no regular file")
        if found.st_size > MAX_LOCK_BYTES:
            raise SourceError(f"{path}: larger than {MAX_LOCK_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:  # includes a dangling link
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def _lock(source: Path, raw: bytes) -> Lock:
    path = source / LOCK_NAME
    try:
        return parse_lock(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        raise CatalogError([Fault(Origin(str(path), line), "", "", message)]) from None


def allocate_source(source: Path, catalog: Catalog) -> tuple[Allocations, Lock]:
    """Return the addresses of *catalog* and the current lock; CatalogError lists all errors."""
    doing(f"reading {source / LOCK_NAME}")
    lock = _lock(source, read_lock(source))
    return _allocated(catalog, lock), lock


def _allocated(catalog: Catalog, lock: Lock) -> Allocations:
    doing("choosing addresses")
    try:
        return allocate(catalog, lock)
    except CatalogError as error:
        raise CatalogError(*place(error.faults)) from None


def compile_source(source: Path) -> compiled.Site:
    """Return the compiled site; LockOutdated if an address is not in the lock yet."""
    return compile_locked(source, read_catalog(source), read_lock(source))


def compile_locked(source: Path, catalog: Catalog, raw: bytes) -> compiled.Site:
    """Return the compiled site of *catalog*, read from *source*, with the lock *raw*."""
    lock = _lock(source, raw)
    allocations = _allocated(catalog, lock)
    require_current(allocations, lock)
    return compile_catalog(catalog, allocations)


def compile_catalog(catalog: Catalog, allocations: Allocations) -> compiled.Site:
    """Return the compiled site; CatalogError lists the errors that depend on addresses."""
    doing("resolving services")
    site = compile_site(catalog, allocations)
    faults = check_allocated(catalog, allocations.bridges, allocations.workloads)
    if faults := [*faults, *check_answers(catalog, site)]:
        raise CatalogError(*place(faults))
    return site


def preview_source(source: Path, read: ReadFile = read_file) -> tuple[Catalog, compiled.Site, str]:
    """Return the catalog and the site after allocation, and a notice if allocation is pending.

    *read* reads the files. The catalog also contains the cluster's own DNS service.
    """
    catalog = read_catalog(source, read)
    allocations, lock = allocate_source(source, catalog)
    notice = ""
    try:
        require_current(allocations, lock)
    except LockOutdated as error:
        notice = str(error)
    site = compile_catalog(catalog, allocations)
    if allocations.dns:
        catalog = _with_dns(catalog, allocations.dns)
    return catalog, site, notice


def _with_dns(catalog: Catalog, addresses: tuple[str, ...]) -> Catalog:
    """Return *catalog* with the DNS service that the Cluster document declares."""
    document = dns.document(addresses)
    origin = catalog.origins[key_of(catalog.cluster)]
    return replace(
        catalog,
        services={**catalog.services, dns.NAME: document},
        origins={**catalog.origins, key_of(document): origin},
    )
