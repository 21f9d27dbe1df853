"""Single bytes of a GGUF file changed one by one: each is refused, or seen in what the reader shows and its digests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from engine.errors import GgufError
from engine.gguf.identity import identify
from engine.gguf.reader import open_gguf

SHARED_MEMORY = Path("/dev/shm")
HIDDEN: frozenset[str] = frozenset()
"""Metadata keys that the view leaves out, and with any of them the digest of the bytes: for the control."""


def view(path: Path) -> object:
    """All that the reader shows of a file, and its digests.

    Raises:
        GgufError: the file is refused.
    """
    with open_gguf(path) as file:
        tensors = {name: (info.type, info.shape, info.offset) for name, info in file.tensors.items()}
        values = {key: repr(value) for key, value in file.metadata.items() if key not in HIDDEN}
        kinds = {key: kind for key, kind in file.metadata_types.items() if key not in HIDDEN}
        return file.version, values, kinds, tensors, file.warnings, identify(file, contents=not HIDDEN)


def unseen(raw: bytes, places: Iterable[int], flips: Iterable[int]) -> tuple[list[tuple[int, int]], int, int]:
    """Change each byte at `places` by each of `flips` (XOR).

    Returns:
        Place and flip of each change that was neither refused nor seen, and the numbers refused and seen.
    """
    flips = list(flips)
    missed: list[tuple[int, int]] = []
    refused = seen = 0
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        path = Path(folder, "one.gguf")
        path.write_bytes(raw)
        original = view(path)
        with path.open("r+b", buffering=0) as out:
            for place in places:
                for flip in flips:
                    out.seek(place)
                    out.write(bytes([raw[place] ^ flip]))
                    try:
                        if view(path) != original:
                            seen += 1
                        else:
                            missed.append((place, flip))
                    except GgufError:
                        refused += 1
                out.seek(place)
                out.write(raw[place : place + 1])
    return missed, refused, seen
