"""Read an array once and keep one sum per program: how fast memory can be read, and nothing else.

    sums[p] = sum of the STEPS * BLOCK words from p * STEPS * BLOCK on, modulo 2^32

Exact. The launcher guarantees: `words` is contiguous, 16-byte aligned and a whole number of programs long.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def read_words(words: tl.tensor, sums: tl.tensor, STEPS: tl.constexpr, BLOCK: tl.constexpr) -> None:
    """words (programs, STEPS, BLOCK) int32; sums (programs,) int32. Grid: programs, 1, 1."""
    program = tl.program_id(0)
    at = words + program.to(tl.int64) * (STEPS * BLOCK) + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.int32)
    for step in tl.static_range(STEPS):
        total += tl.load(at + step * BLOCK)
    tl.store(sums + program, tl.sum(total, axis=0))
