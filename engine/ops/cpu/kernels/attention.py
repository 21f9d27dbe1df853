"""Attention with a query in each lane of a vector, as a job.

A query is a pair of token and head; a tile is some that share one kv head. Lane l works on query l throughout:

    s[j, l]  = sum_d k[j, d] * q[l, d] / sqrt(Dh)      over d in order, one fused multiply-add each
    m[l]     = max_j s[j, l]
    p[j, l]  = exp(s[j, l] - m[l]),  t[l] = sum_j p[j, l]
    y[d, l]  = sum_j p[j, l] * v[j, d]                 over slots in order, one fused multiply-add each

*Chunks.* That is done for CHUNK slots at a time, counted from the first that the query sees. The chunks are joined in
order, with the factors exp(m - max) and exp(m' - max); the result is y / t.

*Bits.* Nothing is added across lanes, and a slot that a query does not see is selected away, not multiplied by 0. So a
result depends on the query and its slots alone: not on the other queries of a tile, its lanes, the threads and parts,
or the instruction set. Under a window the slots are counted from its first, as if it were a cache of its own.

*Values.* A score of -inf has weight 0. NaN or +inf among the scores, or none but -inf, gives NaN.

*Spans.* Where there are fewer tiles than threads, each tile is done in several spans of chunks, which keep the states
of their chunks; whichever ends last joins them, in the same order.

Words of the job:

     0..4   addresses of q (T, H, Dh), k and v (S, Hkv, Dh), positions (T,) int64, out (T, H, Dh)
     5..9   T, H, Dh, S, Hkv
    10      parts
    11      window: slots a query sees at most, or NO_WINDOW
    12      spans
    13      address of the states of all chunks of all tiles, then a 64-bit counter for each tile, 0 before and after;
            not read if there is one span
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray

from engine.ops.cpu.kernels.lanes import (
    BLOCK,
    give_results,
    join_states,
    mix_rows,
    rows_at_once,
    score_rows,
    take_queries,
    weigh,
    widen_rows,
)
from engine.ops.cpu.kernels.llvm import add_word, allocate, free, integers_at, ints_at, write_word
from engine.ops.cpu.kernels.products import Job
from engine.ops.cpu.shapes import CHUNK

_LINE = 64


def attention(isa: int, lanes: int, halves: int) -> Job:
    """Tiles of so many queries; k and v are float16 or not."""
    # numbers, not functions to call: numba makes constants of them
    rows_scored = rows_at_once(isa, lanes)
    # twice as many for 32 lanes are 3 % faster: their sums are kept and fetched less often
    rows_mixed = BLOCK if lanes < 32 else 2 * BLOCK
    vector = 4 * lanes

    def run(words: int, part: int) -> None:
        q_at, k_at, v_at, positions_at, out_at, tokens, heads, size, slots, kv_heads = carray(integers_at(words), 10)
        parts, window, spans, states = carray(integers_at(words + 80), 4)
        positions = carray(integers_at(positions_at), (tokens,))
        group = heads // kv_heads
        head_bytes = size * (2 if halves else 4)
        row_bytes = kv_heads * head_bytes
        scale = np.float32(1.0 / math.sqrt(size))
        # under a window that is full every token has slots of its own, and so tiles of its own
        together = tokens if slots <= window else 1
        tiles = (together * group + lanes - 1) // lanes
        units = tokens // together * tiles * kv_heads
        state_bytes = (size + 2) * vector
        unit_bytes = (min(slots, window) + CHUNK - 1) // CHUNK * state_bytes
        space = allocate(_LINE + 12 * lanes + size * vector + 2 * state_bytes + CHUNK * vector + rows_mixed * size * 4)
        q = (space + _LINE - 1) & -_LINE
        own = q + size * vector
        scores = own + 2 * state_bytes
        widened = scores + CHUNK * vector
        offsets_at = widened + rows_mixed * size * 4
        counts_at = offsets_at + 8 * lanes
        offsets, counts = carray(integers_at(offsets_at), (lanes,)), carray(ints_at(counts_at), (lanes,))
        for number in range(part * units * spans // parts, (part + 1) * units * spans // parts):
            # the last tokens first: they see the most, and the others wait for a part that begins late
            unit, span = units - 1 - number // spans, number % spans
            head, tile = unit % kv_heads, unit // kv_heads % tiles
            token = unit // kv_heads // tiles * together
            begin = max(0, positions[token] + 1 - window)
            least, most = slots, 0
            for lane in range(lanes):
                # lanes behind the last query repeat it
                pair = min(tile * lanes + lane, together * group - 1)
                row = token + pair // group
                seen = positions[row] + 1 - begin
                counts[lane] = seen
                least, most = min(least, seen), max(most, seen)
                offsets[lane] = 4 * size * (row * heads + head * group + pair % group)
            take_queries(lanes, q_at, offsets_at, size, q)
            k, v = k_at + begin * row_bytes + head * head_bytes, v_at + begin * row_bytes + head * head_bytes
            kept = states + unit * unit_bytes
            chunks = (most + CHUNK - 1) // CHUNK
            for chunk in range(span * chunks // spans, (span + 1) * chunks // spans):
                start = chunk * CHUNK
                here = min(CHUNK, most - start)
                state = kept + chunk * state_bytes if spans > 1 else own + min(chunk, 1) * state_bytes
                for slot in range(0, here, rows_scored):
                    rows = min(rows_scored, here - slot)
                    source, stride = k + (start + slot) * row_bytes, row_bytes
                    if halves:
                        widen_rows(isa, lanes, source, stride, rows, size, widened)
                        source, stride = widened, 4 * size
                    score_rows(
                        isa, lanes, source, stride, rows, size, q, counts_at, start + slot, slot == 0, scale,
                        state + size * vector, scores + slot * vector,
                    )  # fmt: skip
                weigh(lanes, scores, here, state + size * vector, state + (size + 1) * vector)
                for slot in range(0, here, rows_mixed):
                    rows = min(rows_mixed, here - slot)
                    source, stride = v + (start + slot) * row_bytes, row_bytes
                    if halves:
                        widen_rows(isa, lanes, source, stride, rows, size, widened)
                        source, stride = widened, 4 * size
                    # rows that all lanes see, then those that some do not
                    shared = max(0, min(rows, least - start - slot))
                    if shared:
                        mix_rows(
                            isa, lanes, 0, source, stride, shared, size, scores + slot * vector, counts_at,
                            start + slot, slot == 0, state,
                        )  # fmt: skip
                    if shared < rows:
                        mix_rows(
                            isa, lanes, 1, source + shared * stride, stride, rows - shared, size,
                            scores + (slot + shared) * vector, counts_at, start + slot + shared, slot + shared == 0,
                            state,
                        )  # fmt: skip
                if spans == 1 and chunk:
                    join_states(lanes, own, state, size, counts_at, start)
            if spans > 1:
                counters = states + units * unit_bytes
                if add_word(counters, unit, 1) + 1 < spans:
                    continue
                write_word(counters, unit, 0)
                for chunk in range(1, chunks):
                    join_states(lanes, kept, kept + chunk * state_bytes, size, counts_at, chunk * CHUNK)
            give_results(lanes, out_at, offsets_at, size, kept if spans > 1 else own)
        free(space)

    return run
