"""Memory of the compiler, given back once it has done its work.

The library of LLVM is 100 MB, of which loading the kernels touches about 70: its code, which is read from the file
again if it is ever needed. On Linux only; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path
from typing import Any

_MAPS = Path("/proc/self/maps")


def release_compiler() -> int:
    """Tell the kernel that the code pages of LLVM are not needed now; bytes of the mappings.

    Only mappings that can be executed and were never written: those are as in the file, whatever happens to them.
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None or not _MAPS.exists():
        return 0
    madvise: Any = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    released = 0
    for line in _MAPS.read_text().splitlines():
        place, rights, *rest = line.split(maxsplit=5)
        if rights == "r-xp" and len(rest) == 4 and "libllvmlite" in rest[3]:
            first, last = (int(number, 16) for number in place.split("-"))
            if madvise(first, last - first, advice) == 0:
                released += last - first
    return released
