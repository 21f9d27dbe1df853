"""Machine code kept from one process to the next, in the first of some folders that can be written.

What is kept for a kernel says what it was made from: the source of all kernels, the versions of the compilers, the
processor. Other code, and code that is not whole, is made anew and takes its place.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import llvmlite

from engine.ops.cpu import isa

_FOLDER = Path(__file__).parent / "kernels"
_SUFFIX = ".kernel"
# What kernels are made from besides the files of their folder.
_SHARED = ("isa.py", "shapes.py")
_HEAD_BYTES = 2 * hashlib.sha256().digest_size


def read(label: str) -> bytes | None:
    """The object file that an earlier process has made from the same; None if there is none."""
    for place in _places():
        with suppress(OSError, RuntimeError):
            entry = place.expanduser().joinpath(label + _SUFFIX).read_bytes()
            code = entry[_HEAD_BYTES:]
            if entry.startswith(_head(code)):
                return code
    return None


def write(label: str, code: bytes) -> None:
    """Put an object file where the next process finds it whole or not at all; nowhere, if there is no place."""
    for place in _places():
        with suppress(OSError, RuntimeError):
            folder = place.expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / (label + _SUFFIX), _head(code) + code)
            return


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        new = Path(file.name)
        try:
            file.write(content)
            file.flush()
            new.chmod(0o644)  # an installation has more users than the one who started it first
            new.replace(path)
        except BaseException:
            new.unlink()
            raise


def _places() -> Iterator[Path]:
    """The folder that the environment names, or the one beside the source and the user's."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(named)
        return
    yield _FOLDER / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "q4k"


def _head(code: bytes) -> bytes:
    """What stands before kept code: a digest of all that it was made from, and its own."""
    return _stamp() + hashlib.sha256(code).digest()


@functools.cache
def _stamp() -> bytes:
    digest = hashlib.sha256()
    for path in (*sorted(_FOLDER.glob("*.py")), *(_FOLDER.parent / name for name in _SHARED)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    processor = isa.processor()
    for text in (llvmlite.__version__, _numba(), processor.name, processor.features):
        digest.update(text.encode() + b"\0")
    return digest.digest()


def _numba() -> str:
    """What tells one release of numba from another, without importing it; importlib.metadata takes 30 ms."""
    found = importlib.util.find_spec("numba")
    return Path(found.origin).with_name("_version.py").read_text() if found and found.origin else ""
