"""Attention of the CPU backend: against float64 and the reference, and the bits that must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.ops import cpu, reference
from engine.ops.cpu import floats, queries
from engine.ops.cpu.isa import Isa, available
from engine.ops.cpu.machine_code import kernel
from engine.ops.cpu.pool import shared
from engine.ops.cpu.queries import Cut, kernels
from engine.ops.cpu.shapes import CHUNK, NO_WINDOW

SEED = 20250906
EPS = 2.0**-24
"""Half a unit in the last place of 1: the largest relative error of one float32 rounding."""


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng([SEED, *shape]).standard_normal(shape).astype(np.float32)


def attention64(q: np.ndarray, k: np.ndarray, v: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Attention in float64, one query head at a time."""
    out = np.empty(q.shape)
    repeat = q.shape[1] // k.shape[1]
    for token, position in enumerate(positions):
        for head in range(q.shape[1]):
            keys = k[: position + 1, head // repeat].astype(np.float64)
            scores = keys @ q[token, head] / np.sqrt(q.shape[2])
            shares = np.exp(scores - scores.max())
            out[token, head] = shares / shares.sum() @ v[: position + 1, head // repeat]
    return out


class Job:
    """The job itself, with every number in the caller's hand."""

    def __init__(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, positions: np.ndarray) -> None:
        self.q, self.k, self.v = (np.ascontiguousarray(array) for array in (q, k, v))
        self.positions = np.array(positions, np.int64)
        self.out = np.full_like(self.q, np.nan)

    def run(
        self, isa: Isa, *, many: bool, parts: int = 1, spans: int = 1, window: int = NO_WINDOW, threads: int = 1
    ) -> np.ndarray:
        (tokens, heads, size), (slots, kv_heads, _) = self.q.shape, self.k.shape
        tiles, chunks = tokens * heads, -(-min(slots, window) // CHUNK)
        states = np.zeros(tiles * (chunks * (size + 2) * 32 + 2), np.float32)
        arrays = self.q, self.k, self.v, self.positions, self.out
        places = [array.ctypes.data for array in arrays]
        sizes = (tokens, heads, size, slots, kv_heads, parts, window, spans)
        words = np.array([*places, *sizes, states.ctypes.data], np.int64)
        job = kernel(*kernels(isa, halves=self.k.dtype == np.float16)[many])
        shared(threads).run(job, words, parts)
        return self.out.copy()


SHAPES = {
    "least": (1, 1, 1, 1, 2),
    "decode": (1, 130, 4, 2, 64),
    "prefill": (5, 5, 3, 3, 6),
    "one kv head": (5, 9, 7, 1, 128),
    "odd head dim": (2, 257, 4, 4, 40),
    "as many slots as a chunk": (3, CHUNK, 14, 2, 16),
    "one slot in the second chunk": (9, CHUNK + 1, 6, 3, 24),
    "three chunks": (7, 2 * CHUNK + 3, 10, 1, 64),
    "heads for two tiles": (1, 70, 40, 2, 34),
}
SHAPE = pytest.mark.parametrize(("tokens", "slots", "heads", "kv_heads", "head_dim"), SHAPES.values(), ids=SHAPES)


@SHAPE
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_attention_is_that_of_float64(
    tokens: int, slots: int, heads: int, kv_heads: int, head_dim: int, kind: Any
) -> None:
    """A score is off by at most Dh + 1 roundings of sum |q k| / sqrt(Dh), and its share by twice that relatively; the
    sums over slots add one rounding per slot, the exponentials, their joints and the quotient ten."""
    q = draw(tokens, heads, head_dim)
    k, v = draw(slots, kv_heads, head_dim).astype(kind), (draw(slots, kv_heads, head_dim) + 1).astype(kind)
    positions = np.arange(slots - tokens, slots, dtype=np.int64)
    sizes = np.abs(q).max(axis=0).max(axis=0).astype(np.float64) @ np.abs(k).max(axis=0).max(axis=0) / head_dim**0.5
    limit = (2 * (head_dim + 1) * sizes + 2 * slots + 10) * EPS * float(np.abs(v).max())
    found = cpu.attention(q, k, v, positions)
    error = np.abs(found - attention64(q, k, v, positions))
    assert found.dtype == np.float32
    assert error.max() <= limit, np.unravel_index(error.argmax(), error.shape)


@SHAPE
def test_every_instruction_set_and_width_gives_the_same_bits(
    tokens: int, slots: int, heads: int, kv_heads: int, head_dim: int
) -> None:
    q, k, v = draw(tokens, heads, head_dim), draw(slots, kv_heads, head_dim), draw(slots, kv_heads, head_dim) + 1
    positions = np.arange(slots - tokens, slots, dtype=np.int64)
    for kind in (np.float32, np.float16):
        job = Job(q, k.astype(kind), v.astype(kind), positions)
        expected = cpu.attention(q, job.k, job.v, positions)
        for isa in available():
            for many in (False, True):
                np.testing.assert_array_equal(job.run(isa, many=many), expected, err_msg=f"{isa.label} {many}")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_parts_and_spans_change_no_bit(threads: int) -> None:
    """Spans of 5 chunks: as many as chunks, more, and some; a second run finds its counters as the first did."""
    slots = 4 * CHUNK + 9
    q, k, v = draw(2, 6, 16), draw(slots, 2, 16), draw(slots, 2, 16)
    job = Job(q, k, v, np.array([slots - 1, 2 * CHUNK - 1]))
    isa = available()[-1]
    expected = job.run(isa, many=False)
    for spans, parts in ((2, 4), (2, 3), (5, 20), (7, 9), (3, 1)):
        job.out[:] = np.nan
        np.testing.assert_array_equal(job.run(isa, many=False, spans=spans, parts=parts, threads=threads), expected)


def test_counters_of_spans_are_zero_again() -> None:
    slots = 3 * CHUNK
    q, k, v, positions = draw(1, 2, 8), draw(slots, 1, 8), draw(slots, 1, 8), np.array([slots - 1], np.int64)
    cut = Cut.of(Isa.PLAIN, 8, 1, 2, 8, slots, 1, slots)
    states = np.zeros(3 * 10 * 8 * 4 + 8, np.uint8)
    out = np.empty_like(q)
    arrays = [q, k, v, positions, out]
    sizes = (1, 2, 8, slots, 1, 3, NO_WINDOW, 3)
    words = np.array([*(array.ctypes.data for array in arrays), *sizes, states.ctypes.data], np.int64)
    found = []
    for _ in range(2):
        shared(2).run(kernel(*kernels(Isa.PLAIN, halves=False)[0]), words, 3)
        found.append(out.copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], cpu.attention(q, k, v, positions))
    assert states[-8:].tolist() == [0] * 8
    assert cut.spans == 1  # 6,144 products are not worth a second part


def test_few_tiles_are_cut_into_spans_where_there_are_more_threads() -> None:
    """Qwen2.5 1.5B: 2 tiles of 6 heads; 16 chunks of 4,096 slots."""
    small = Cut.of(Isa.VNNI, 2, 1, 12, 128, 4096, 2, NO_WINDOW)
    large = Cut.of(Isa.VNNI, 8, 1, 12, 128, 4096, 2, NO_WINDOW)
    assert (small.parts, small.spans, small.state_bytes) == (2, 1, 0)
    assert (large.parts, large.spans, large.state_bytes) == (16, 8, 2 * (16 * 130 * 8 * 4 + 8))


def test_a_pool_of_many_threads_gives_the_bits_of_one() -> None:
    slots = 3 * CHUNK + 5
    q, k, v, positions = draw(1, 12, 128), draw(slots, 2, 128), draw(slots, 2, 128), np.array([slots - 1])
    assert Cut.of(available()[-1], 8, 1, 12, 128, slots, 2, slots).spans > 1
    found = floats.attention(shared(8), q, k, v, positions)
    np.testing.assert_array_equal(found, floats.attention(shared(1), q, k, v, positions))


@pytest.mark.parametrize("cut", [1, 2, 5, 17])
def test_a_prompt_in_pieces_has_the_bits_of_the_whole(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 tokens across the end of a chunk, `cut` at a time, each piece in a cache that ends with it."""
    monkeypatch.setattr(queries, "_PART", 1)
    first, end = CHUNK - 20, CHUNK + 20
    q, k, v = draw(40, 6, 24), draw(end, 3, 24), draw(end, 3, 24)
    positions = np.arange(first, end, dtype=np.int64)
    whole = cpu.attention(q, k, v, positions)
    for begin in range(0, 40, cut):
        piece = slice(begin, begin + cut)
        last = positions[piece][-1] + 1
        np.testing.assert_array_equal(cpu.attention(q[piece], k[:last], v[:last], positions[piece]), whole[piece])


def test_positions_in_any_order() -> None:
    """Queries of one tile that see 1, 300 and 600 slots."""
    q, k, v = draw(9, 4, 16), draw(600, 2, 16), draw(600, 2, 16)
    positions = np.array([0, 599, 299, 255, 256, 0, 511, 512, 598])
    together = cpu.attention(q, k, v, positions)
    for token in range(9):
        own = slice(token, token + 1)
        np.testing.assert_array_equal(cpu.attention(q[own], k, v, positions[own]), together[own])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_a_query_does_not_see_cannot_touch_it(bad: float) -> None:
    """Keys and values of later tokens are not finite: every token has the bits that it has without them."""
    q, k, v = draw(12, 6, 16), draw(CHUNK + 6, 2, 16), draw(CHUNK + 6, 2, 16)
    positions = np.arange(CHUNK - 6, CHUNK + 6, dtype=np.int64)
    clean = cpu.attention(q, k, v, positions)
    for first in (CHUNK - 3, CHUNK, CHUNK + 4):
        k_bad, v_bad = k.copy(), v.copy()
        k_bad[first:], v_bad[first:] = bad, bad
        found = cpu.attention(q, k_bad, v_bad, positions)
        before = positions < first
        np.testing.assert_array_equal(found[before], clean[before])
        assert np.isnan(found[~before]).all()


def test_slots_behind_the_query_are_not_read() -> None:
    q, k, v = draw(1, 4, 64), draw(9, 2, 64), draw(9, 2, 64)
    k[6:], v[6:] = np.nan, np.nan
    positions = np.array([5], np.int64)
    np.testing.assert_array_equal(cpu.attention(q, k, v, positions), cpu.attention(q, k[:6], v[:6], positions))


def test_the_position_of_one_token_is_read_when_the_job_runs() -> None:
    """A job that was written down once follows its token through a cache that has room for more."""
    q, k, v = draw(1, 4, 16), draw(600, 2, 16), draw(600, 2, 16)
    job = Job(q, k, v, np.array([0]))
    for position in (0, 254, 255, 256, 599):
        job.positions[0] = position
        expected = cpu.attention(q, k[: position + 1], v[: position + 1], job.positions)
        np.testing.assert_array_equal(job.run(available()[-1], many=False), expected)
        np.testing.assert_array_equal(job.run(available()[-1], many=False, spans=3, parts=4), expected)


@pytest.mark.parametrize("window", [7, 40, CHUNK, CHUNK + 50])
def test_a_window_is_a_cache_of_its_own(window: int) -> None:
    """The same bits for one token and for many, and for a cache that begins with the window."""
    slots = window + CHUNK
    q, k, v = draw(6, 4, 24), draw(slots, 2, 24), draw(slots, 2, 24)
    positions = np.arange(slots - 6, slots)
    together = cpu.attention(q, k, v, positions, window=window)
    for token, position in enumerate(positions):
        own, first = slice(token, token + 1), position - window + 1
        alone = cpu.attention(q[own], k, v, positions[own], window=window)
        np.testing.assert_array_equal(alone, together[own])
        cut = cpu.attention(q[own], k[first:], v[first:], positions[own] - first)
        np.testing.assert_array_equal(cut, together[own])
    np.testing.assert_array_equal(cpu.attention(q, k, v, positions, window=slots), cpu.attention(q, k, v, positions))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("window", [1, 3, 64])
def test_a_chunk_under_a_window_is_that_of_float64(window: int, kind: type[np.floating]) -> None:
    """97 tokens from an empty cache on, in parts that end inside a token; each alone sees what it may."""
    q, k, v = draw(97, 6, 16), draw(97, 3, 16).astype(kind), draw(97, 3, 16).astype(kind)
    positions = np.arange(97)
    found = cpu.attention(q, k, v, positions, window=window)
    for token in range(97):
        first = max(0, token - window + 1)
        own = np.array([token - first])
        expected = attention64(q[token : token + 1], k[first : token + 1], v[first : token + 1], own)
        np.testing.assert_allclose(found[token : token + 1], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head_dim", [2, 16, 24, 128])
def test_attention_reads_float16_as_it_is(head_dim: int) -> None:
    """To the bit what float32 keys and values of the same numbers give; subnormals, -0 and the largest among them."""
    q, k, v = draw(3, 4, head_dim), draw(9, 2, head_dim), draw(9, 2, head_dim)
    v[0, 0, 0], v[1, 0, 0], v[2, 1, 1] = 3e-7, -0.0, -65504
    k, v = k.astype(np.float16), v.astype(np.float16)
    positions = np.array([4, 7, 8], np.int64)
    wide = cpu.attention(q, k.astype(np.float32), v.astype(np.float32), positions)
    np.testing.assert_array_equal(cpu.attention(q, k, v, positions), wide)


def test_attention_survives_large_scores() -> None:
    """Scores of some 1e4 overflow exp unless the largest is subtracted."""
    q, k, v = draw(3, 2, 64) * 100, draw(8, 2, 64) * 100, draw(8, 2, 64)
    positions = np.array([5, 6, 7], np.int64)
    found = cpu.attention(q, k, v, positions)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, attention64(q, k, v, positions), atol=1e-2)


def test_a_later_chunk_may_outweigh_all_before_it() -> None:
    """Scores of -1e4, then 0, then 1e4 by chunks: the last slot alone counts, and before it the mean of the second."""
    q, k, v = np.ones((1, 1, 4), np.float32), np.zeros((3 * CHUNK, 1, 4), np.float32), draw(3 * CHUNK, 1, 4)
    k[:CHUNK], k[-1] = -5e3, 5e3
    found = cpu.attention(q, k, v, np.array([3 * CHUNK - 1]))
    np.testing.assert_array_equal(found[0], v[-1])
    found = cpu.attention(q, k, v, np.array([2 * CHUNK - 1]))
    np.testing.assert_allclose(found[0, 0], v[CHUNK : 2 * CHUNK, 0].astype(np.float64).mean(axis=0), atol=CHUNK * EPS)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("slot", [0, 3, CHUNK - 1, CHUNK, CHUNK + 4])
@pytest.mark.parametrize(("key", "value"), [(-np.inf, 1), (np.inf, 1), (np.nan, 1), (1, np.nan), (1, -np.inf)])
def test_values_that_are_not_finite_show_as_in_the_reference(slot: int, key: float, value: float) -> None:
    """A score of -inf counts nothing, also where its chunk has no other; +inf and NaN show in that query alone."""
    q, k, v = np.abs(draw(6, 4, 8)), np.abs(draw(CHUNK + 5, 2, 8)), draw(CHUNK + 5, 2, 8)
    k[slot, 1, 2], v[slot, 1, 3] = key, value
    positions = np.array([0, 3, 4, CHUNK - 1, CHUNK, CHUNK + 4])
    expected = reference.attention(q, k, v, positions)
    found = cpu.attention(q, k, v, positions)
    # the reference multiplies what a query does not see by 0; there the slots that it does see are the judge
    for token, position in enumerate(positions):
        own = slice(token, token + 1)
        expected[own] = reference.attention(q[own], k[: position + 1], v[: position + 1], positions[own])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.isfinite(found[:, :2]).all()


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_whole_chunk_of_minus_infinity_counts_nothing() -> None:
    """And where no slot is left, the result is NaN."""
    q, k, v = np.ones((2, 2, 4), np.float32), draw(CHUNK + 7, 1, 4), draw(CHUNK + 7, 1, 4)
    k[:CHUNK, 0, 1] = -np.inf
    positions = np.array([CHUNK - 1, CHUNK + 6])
    found = cpu.attention(q, k, v, positions)
    assert np.isnan(found[0]).all()
    expected = attention64(q[1:], k[CHUNK:], v[CHUNK:], np.array([6]))
    np.testing.assert_allclose(found[1:], expected, atol=1e-6)
