"""Attention over a sliding window, a chunk of tokens in one job: each token's window is a cache of its own.

The loops are those of attention without a window, on the slots that a token sees, so the bits are the same however the
tokens are cut and wherever the window starts. Words: q, k, v, positions, out, T, H, Dh, S, Hkv, parts, window.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import carray

from engine.ops.cpu.compiled import callback
from engine.ops.cpu.kernels import attention_heads
from engine.ops.cpu.llvm import floats_at, halves_at, integers_at


@functools.cache
def window_job(*, halves: bool) -> Any:
    """Pairs of token and head, each token with the window before it.

    Args:
        halves: k and v are float16.
    """
    return _make(int(halves))


def _make(halves: int) -> Any:
    @callback("void(CPointer(int64), int64)")
    def run(words: Any, part: Any) -> None:
        q_at, k_at, v_at, positions_at, out_at, tokens, heads, size, _, kv_heads, parts, window = carray(words, 12)
        slot_bytes = kv_heads * size * (2 if halves else 4)
        row_bytes = 4 * heads * size
        positions = carray(integers_at(positions_at), (tokens,))
        scale = np.float32(1.0 / math.sqrt(size))
        own = np.empty(1, np.int64)
        begin, end = part * tokens * heads // parts, (part + 1) * tokens * heads // parts
        for token in range(begin // heads, (end + heads - 1) // heads):
            first = max(0, positions[token] - window + 1)
            seen = positions[token] - first + 1
            own[0] = seen - 1
            k_from, v_from = k_at + first * slot_bytes, v_at + first * slot_bytes
            q = carray(floats_at(q_at + token * row_bytes), (1, heads, size))
            k = carray(halves_at(k_from) if halves else floats_at(k_from), (seen, kv_heads, size))
            v = carray(halves_at(v_from) if halves else floats_at(v_from), (seen, kv_heads, size))
            out = carray(floats_at(out_at + token * row_bytes), (1, heads, size))
            pairs = (max(0, begin - token * heads), min(heads, end - token * heads))
            attention_heads(q, k, v, own, scale, out, pairs)

    return run
