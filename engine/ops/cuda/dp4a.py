"""Four products of signed bytes, added to a 32-bit integer: c + a.0 * b.0 + a.1 * b.1 + a.2 * b.2 + a.3 * b.3.

Triton has no built-in for the instruction. Its interpreter cannot run inline assembly, so a flag chooses between the
instruction and four shifts; both are exact.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def dp4a(a: tl.tensor, b: tl.tensor, c: tl.tensor, ASSEMBLY: tl.constexpr) -> tl.tensor:
    """a, b: int32, each four signed bytes; c: int32. The three broadcast against each other."""
    if ASSEMBLY:
        total = tl.inline_asm_elementwise(
            "dp4a.s32.s32 $0, $1, $2, $3;", "=r,r,r,r", [a, b, c], dtype=tl.int32, is_pure=True, pack=1
        )
    else:
        total = c
        for byte in tl.static_range(4):
            left = (a << (24 - 8 * byte)) >> 24
            right = (b << (24 - 8 * byte)) >> 24
            total = total + left * right
    return total
