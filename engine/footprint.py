"""Memory that only start-up needed, given back: a process of numpy, numba and LLVM is as large as a small model.

    code     pages of libraries that were read from their files: the kernel reads those again that are needed again
    heap     room between and behind the blocks that the allocator still holds

On Linux, the heap with glibc only; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MAPS = Path("/proc/self/smaps")


def release_start_up() -> None:
    """Give back what loading a model touched and left behind; takes 10 ms."""
    release_code()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def release_code(library: str = "/") -> int:
    """Tell the kernel that code and constants of libraries are not needed now; bytes of the mappings.

    Only mappings of files that cannot be written and hold no page of this process's own: those are as in the file,
    whatever happens to them.

    Args:
        library: part of the path; default all.
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None or not _MAPS.exists():
        return 0
    madvise: Any = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    released = 0
    for first, last in _unwritten(_MAPS.read_text(), library):
        if madvise(first, last - first, advice) == 0:
            released += last - first
    return released


def _unwritten(maps: str, library: str) -> Iterator[tuple[int, int]]:
    """First address and end of each read-only mapping of a library without private pages, from the text of smaps."""
    place = ""
    for line in maps.splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            place = name if library in rest and rest[:4] in ("r-xp", "r--p") else ""
        elif name == "Anonymous:" and place and rest.split()[0] == "0":
            first, last = (int(number, 16) for number in place.split("-"))
            yield first, last
