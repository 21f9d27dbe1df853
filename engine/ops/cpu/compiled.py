"""`njit` and `cfunc` whose machine code is kept on disk, so that a second start compiles nothing.

numba looks at one file only, the one that holds a function, to tell whether its cached code is old; code that an
intrinsic of another file emits would be missed. Here the stamp of a cache entry is a digest of every source file of
this package instead. Where no cache can be written (a read-only installation and a read-only home), numba compiles
anew in each process.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.runtime import rtsys

_NO_PLACE = RuntimeError  # numba: "cannot cache function: no locator available for file"


@functools.cache
def _stamp() -> tuple[str]:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return (digest.hexdigest(),)


def _stamped(made: Any) -> Any:
    """Give the cache entry of a compiled function the digest of this package; numba's own stamp is time and size."""
    made._cache._cache_file._source_stamp = _stamp()
    made._cache.load_overload = functools.partial(_load, made._cache)
    return made


def _load(cache: Any, signature: Any, context: Any) -> Any:
    """Machine code from the cache, or None. numba's own method first imports all that a compilation may ask for, 12 MB
    that machine code does not need; where there is none, compiling does that by itself."""
    rtsys.initialize(context)
    with cache._guard_against_spurious_io_errors():
        return cache._load_overload(signature, context)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`njit` without the interpreter lock, cached on disk where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return _stamped(numba.njit(cache=True, nogil=True, **options)(function))
        except _NO_PLACE:
            return numba.njit(nogil=True, **options)(function)

    return decorate


def callback(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """`cfunc`, cached on disk where there is a place for it; its `address` can be called from compiled code."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return _cached_callback(signature, function)
        except _NO_PLACE:
            return numba.cfunc(signature)(function)

    return decorate


def _cached_callback(signature: str, function: Callable[..., Any]) -> Any:
    # numba.cfunc compiles at once; the stamp has to be there before, so the steps of numba.cfunc are taken apart.
    from numba.core import sigutils
    from numba.core.ccallback import CFunc

    arguments, returned = sigutils.normalize_signature(signature)
    made = CFunc(function, (arguments, returned), locals={}, options={})
    made.enable_caching()
    _stamped(made).compile()
    return made
