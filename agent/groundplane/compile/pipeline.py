"""The line put together for a source on disk: what the commands and the agent's compiler share."""

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
from groundplane.load import load, place
from groundplane.processes.limits import doing
from groundplane.site import compiled

MAX_LOCK_BYTES: Final = 64 << 20


def read_catalog(source: Path) -> Catalog:
    """Return the catalog of *source*, loaded and checked; CatalogError with all its faults."""
    catalog = load(source)
    doing("checking what was read")
    if faults := check(catalog):
        raise CatalogError(*place(faults))
    return catalog


def read_lock(source: Path) -> Lock:
    """Return the lock beside the catalog; an empty one where there is none yet."""
    path = source / LOCK_NAME
    if not os.path.lexists(path):
        return Lock()
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a FIFO would have us wait
            raise SourceError(f"{path}: no regular file")
        if found.st_size > MAX_LOCK_BYTES:
            raise SourceError(f"{path}: larger than {MAX_LOCK_BYTES >> 20} MiB")
        raw = path.read_bytes()
    except OSError as error:  # also a link that leads nowhere
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return parse_lock(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        raise CatalogError([Fault(Origin(str(path), line), "", "", message)]) from None


def allocate_source(source: Path, catalog: Catalog) -> tuple[Allocations, Lock]:
    """Return the addresses of *catalog* and the lock as it is now; CatalogError with all faults."""
    doing(f"reading {source / LOCK_NAME}")
    lock = read_lock(source)
    doing("choosing addresses")
    try:
        return allocate(catalog, lock), lock
    except CatalogError as error:
        raise CatalogError(*place(error.faults)) from None


def compile_source(source: Path) -> compiled.Site:
    """Return the compiled site; LockOutdated when an address is not in the lock yet."""
    catalog = read_catalog(source)
    allocations, lock = allocate_source(source, catalog)
    require_current(allocations, lock)
    return compile_catalog(catalog, allocations)


def compile_catalog(catalog: Catalog, allocations: Allocations) -> compiled.Site:
    """Return the compiled site; CatalogError with the faults that are seen by its addresses."""
    doing("resolving services")
    site = compile_site(catalog, allocations)
    faults = check_allocated(catalog, allocations.bridges, allocations.workloads)
    if faults := [*faults, *check_answers(catalog, site)]:
        raise CatalogError(*place(faults))
    return site


def preview_source(source: Path) -> tuple[Catalog, compiled.Site, str]:
    """Return catalog and site as they will be once allocated, and a notice if they are not yet.

    The catalog has the site's own DNS service beside what was written.
    """
    catalog = read_catalog(source)
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
    """Return *catalog* with the DNS service, which the Cluster document stands for."""
    document = dns.document(addresses)
    origin = catalog.origins[key_of(catalog.cluster)]
    return replace(
        catalog,
        services={**catalog.services, dns.NAME: document},
        origins={**catalog.origins, key_of(document): origin},
    )
