"""Numbers that a kernel and those who cut its work into jobs have to agree on."""

from __future__ import annotations

from engine.ops.cpu.isa import Isa

TILE = {Isa.VNNI: 8, Isa.AVX2: 4, Isa.PLAIN: 4}
"""Tokens of a tile of a matrix-matrix product: what the vector registers hold (32 in AVX-512, 16 elsewhere)."""

QUERIES = {Isa.VNNI: (8, 32), Isa.AVX2: (8, 16), Isa.PLAIN: (8, 8)}
"""Queries of a tile of attention, where there are few and where there are many: one vector register, and two."""

CHUNK = 256
"""Slots of attention whose weights are kept at a time: 32 KiB in 32 lanes."""

NO_WINDOW = 1 << 62
"""Word 11 of attention where there is no window."""


def sum_planes(planes: int) -> int:
    """Digits of the sum of 32 activations: at most 32 * 127, or 32 * (254 * 127 + 126), in base 128."""
    return planes + 1
