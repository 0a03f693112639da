"""The memory of an agent at rest."""

import ctypes
import gc
from typing import Final

_libc: Final = ctypes.CDLL(None)
_ARENA_MAX: Final = -8  # M_ARENA_MAX of mallopt(3)


def use_one_arena() -> None:
    """Let all threads allocate from one arena; glibc's default is eight for each processor.

    Most threads wait for the interpreter anyway, and what each keeps free, no other can use. Call
    it before there is a second thread.
    """
    if mallopt := getattr(_libc, "mallopt", None):
        mallopt(_ARENA_MAX, 1)


def settle() -> None:
    """Exempt what exists from garbage collection, and return freed memory to the kernel.

    A change of the site leaves garbage between objects that stay; C libraries without
    malloc_trim(3) keep it.
    """
    gc.collect()
    gc.freeze()
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)
