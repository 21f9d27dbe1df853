"""Print what one layer's attention costs on the CPU: `python tests/bench/cpu_attention.py [shape ...]`.

Shapes are those of Qwen2.5, prefill is 256 tokens behind 0 and behind 256 others; the least time of many calls, of one
thread and of two. FLOP are 4 Dh for each head and slot seen. numpy is `engine.ops.reference` with float32 keys and
values: BLAS with as many threads as it likes, over all slots, seen or not. Everything is in a cache.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from engine.ops import reference
from engine.ops.cpu import floats
from engine.ops.cpu.isa import cores
from engine.ops.cpu.pool import shared
from engine.ops.protocol import F32, I64

SHAPES = {"0.5B": (14, 2, 64), "1.5B": (12, 2, 128), "7B": (28, 4, 128)}
"""Heads, kv heads and head dim by the name of the model."""
CASES = {"decode at 128": (1, 127), "decode at 4096": (1, 4095), "prefill at 0": (256, 0), "prefill at 256": (256, 256)}
"""New tokens and tokens before them."""
_SECONDS = 0.12


def least(call: Callable[[], object]) -> float:
    """Seconds of the fastest call among those of `_SECONDS`, three at least."""
    call()
    found, began = [], time.perf_counter()
    while len(found) < 3 or time.perf_counter() - began < _SECONDS:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def column(seconds: float, flop: int) -> str:
    return f"{1e9 * seconds:>14,.0f}{flop / seconds / 1e9:>8.1f}"


def drawn(name: str, tokens: int, before: int) -> tuple[F32, F32, F32, I64]:
    """q, k, v, and positions of new tokens."""
    heads, kv_heads, size = SHAPES[name]
    rng = np.random.default_rng(0)
    q = rng.standard_normal((tokens, heads, size)).astype(np.float32)
    k, v = rng.standard_normal((2, before + tokens, kv_heads, size)).astype(np.float32)
    return q, k, v, np.arange(before, before + tokens, dtype=np.int64)


def main(names: list[str]) -> None:
    counts = [count for count in (1, 2) if count <= cores()]
    titles = [f"{count} thread{'s' * (count > 1)}, ns" for count in counts] + ["numpy, ns"]
    print(f"{'attention':<28}" + "".join(f"{title:>14}{'GFLOP/s':>8}" for title in titles))
    for name, (case, sizes) in itertools.product(names, CASES.items()):
        q, k, v, positions = drawn(name, *sizes)
        flop = 4 * q.shape[1] * q.shape[2] * int((positions + 1).sum())
        peer = column(least(partial(reference.attention, q, k, v, positions)), flop)
        for kind in (np.float32, np.float16):
            arrays = q, k.astype(kind), v.astype(kind), positions
            columns = [column(least(partial(floats.attention, shared(n), *arrays)), flop) for n in counts]
            print(f"{name} {case} f{8 * np.dtype(kind).itemsize}".ljust(28) + "".join(columns) + peer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(SHAPES))
