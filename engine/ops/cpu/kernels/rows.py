"""What is done to each token by itself: jobs, whose parts are some of the tokens."""

from __future__ import annotations

import numpy as np
from numba import carray

from engine.ops.cpu.kernels import floats
from engine.ops.cpu.kernels.decode import decode_row
from engine.ops.cpu.kernels.llvm import bytes_at, doubles_at, floats_at, integers_at, store_halves
from engine.ops.cpu.kernels.products import Job


def embedding() -> Job:
    """Words: type, weight, row_bytes, token ids, K, out, T, parts."""

    def run(words: int, part: int) -> None:
        kind, raw_at, row_bytes, ids_at, columns, out_at, tokens, parts = carray(integers_at(words), 8)
        ids = carray(integers_at(ids_at), (tokens,))
        for token in range(part * tokens // parts, (part + 1) * tokens // parts):
            raw = carray(bytes_at(raw_at + ids[token] * row_bytes), (row_bytes,))
            decode_row(kind, raw, 0, columns, carray(floats_at(out_at + 4 * token * columns), (columns,)), 0)

    return run


def add() -> Job:
    """Words: x, y, out, T, D, floats from one row of y to the next, parts."""

    def run(words: int, part: int) -> None:
        x_at, y_at, out_at, tokens, size, stride, parts = carray(integers_at(words), 7)
        for token in range(part * tokens // parts, (part + 1) * tokens // parts):
            x = carray(floats_at(x_at + 4 * token * size), (size,))
            y = carray(floats_at(y_at + 4 * token * stride), (size,))
            out = carray(floats_at(out_at + 4 * token * size), (size,))
            for i in range(size):
                out[i] = x[i] + y[i]

    return run


def norm() -> Job:
    """Words: x, weight, out, T, D, eps as the bits of a float64, parts."""

    def run(words: int, part: int) -> None:
        x_at, weight_at, out_at, tokens, size, eps, parts = carray(integers_at(words), 7)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        floats.rms_norm(
            carray(floats_at(x_at + 4 * first * size), ((last - first) * size,)),
            last - first,
            carray(floats_at(weight_at), (size,)),
            np.float32(np.int64(eps).view(np.float64)),
            carray(floats_at(out_at + 4 * first * size), ((last - first) * size,)),
        )

    return run


def angles() -> Job:
    """Cosines and sines; words: positions, frequencies, magnitude as the bits of a float64, out (T, 2, Dh/2), T, Dh/2,
    parts."""

    def run(words: int, part: int) -> None:
        positions_at, frequencies_at, magnitude, out_at, tokens, half, parts = carray(integers_at(words), 7)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        floats.angles(
            carray(integers_at(positions_at + 8 * first), (last - first,)),
            carray(doubles_at(frequencies_at), (half,)),
            np.int64(magnitude).view(np.float64),
            carray(floats_at(out_at + 8 * first * half), (last - first, 2, half)),
        )

    return run


def turn() -> Job:
    """Words: x, angles, out, T, H, Dh, 1 if pairs are adjacent, parts."""

    def run(words: int, part: int) -> None:
        x_at, angles_at, out_at, tokens, heads, size, adjacent, parts = carray(integers_at(words), 8)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        start, here = 4 * first * heads * size, last - first
        floats.turn(
            carray(floats_at(x_at + start), (here, heads, size)),
            carray(floats_at(angles_at + 4 * first * size), (here, 2, size // 2)),
            adjacent != 0,
            carray(floats_at(out_at + start), (here, heads, size)),
        )

    return run


def append() -> Job:
    """Keys and values to their slots; words: k, v, keys, values, positions, T, floats of a token, 1 for float16."""

    def run(words: int, _: int) -> None:
        k_at, v_at, keys_at, values_at, positions_at, tokens, size, halves = carray(integers_at(words), 8)
        positions = carray(integers_at(positions_at), (tokens,))
        for token in range(tokens):
            for source, target in ((k_at, keys_at), (v_at, values_at)):
                if halves:
                    store_halves(source + 4 * token * size, target + 2 * positions[token] * size, size)
                else:
                    row = carray(floats_at(source + 4 * token * size), (size,))
                    slot = carray(floats_at(target + 4 * positions[token] * size), (size,))
                    for i in range(size):
                        slot[i] = row[i]

    return run
