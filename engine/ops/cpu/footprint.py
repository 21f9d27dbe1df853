"""Memory of the compiler, given back once it has done its work.

The library of LLVM is 100 MB, of which linking the kernels touches about 50.
"""

from __future__ import annotations

from engine.footprint import release_code


def release_compiler() -> int:
    """Give back the code and constants of LLVM; bytes of the mappings."""
    return release_code("libllvmlite")
