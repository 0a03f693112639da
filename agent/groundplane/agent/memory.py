"""The memory of an agent at rest."""

import ctypes
import gc
from typing import Final

_libc: Final = ctypes.CDLL(None)


def settle() -> None:
    """Exempt what exists from garbage collection, and return freed memory to the kernel.

    A change of the site leaves garbage between objects that stay; C libraries without
    malloc_trim(3) keep it.
    """
    gc.collect()
    gc.freeze()
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)
