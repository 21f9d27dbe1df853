"""Blocks of random bytes whose float16 fields are finite."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Zeros, subnormals, the least normal and the largest float16, with both signs.
_EXTREME = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF], np.uint16)


def blocks(count: int, type_size: int, *, halves: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.uint8]:
    """(count, type_size) bytes; every fourth float16 at the offsets `halves` is an extreme one, no weight overflows.

    Args:
        count: at least 33, so that every extreme occurs.
    """
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (count, type_size), dtype=np.uint8)
    for at in halves:
        # Exponent below 31: neither infinite nor NaN.
        bits = rng.integers(0, 1 << 16, count, dtype=np.uint16)
        bits = np.where((bits & 0x7C00) == 0x7C00, bits & 0x83FF, bits)
        bits[::4] = np.resize(_EXTREME, len(bits[::4]))
        raw[:, at : at + 2] = np.ascontiguousarray(bits.astype("<u2")).view(np.uint8).reshape(count, 2)
    return raw
