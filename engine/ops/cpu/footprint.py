"""Memory of the compiler, given back once it has done its work.

The library of LLVM is 100 MB, of which loading the kernels touches about 70: code and constants, which are read from
the file again if they are ever needed. On Linux only; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MAPS = Path("/proc/self/smaps")


def release_compiler() -> int:
    """Tell the kernel that the code and constants of LLVM are not needed now; bytes of the mappings.

    Only mappings of the library that cannot be written and hold no page of this process's own: those are as in the
    file, whatever happens to them.
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None or not _MAPS.exists():
        return 0
    madvise: Any = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    released = 0
    for first, last in _unwritten(_MAPS.read_text(), "libllvmlite"):
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
