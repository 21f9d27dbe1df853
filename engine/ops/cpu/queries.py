"""How an attention is cut into parts, and which machine code they run; see `engine.ops.cpu.kernels.attention`."""

from __future__ import annotations

from dataclasses import dataclass

from engine.ops.cpu.isa import Isa
from engine.ops.cpu.machine_code import Kernel
from engine.ops.cpu.shapes import CHUNK, QUERIES

_PART = 50_000
"""Elements of keys, each times a query, that are worth a part of their own: about 4 us, values included."""
_PARTS_PER_THREAD = 8


def kernels(isa: Isa, *, halves: bool) -> list[Kernel]:
    """For tiles of few queries and for tiles of many, `QUERIES`; both give the same bits.

    Args:
        halves: k and v are float16.
    """
    return [("attention", int(isa), lanes, int(halves)) for lanes in QUERIES[isa]]


@dataclass(frozen=True, slots=True)
class Cut:
    """How an attention is cut into parts; no bit depends on it."""

    many: bool
    """Which of `kernels`."""
    parts: int
    spans: int
    state_bytes: int
    """Room for word 13, zero at first; 0 if there is one span."""

    @classmethod
    def of(
        cls, isa: Isa, threads: int, tokens: int, heads: int, size: int, slots: int, kv_heads: int, window: int
    ) -> Cut:
        """Parts that are worth a thread; spans where there are fewer tiles than threads."""
        together = tokens if slots <= window else 1
        queries, seen = together * (heads // kv_heads), min(slots, window)
        many = queries > 2 * QUERIES[isa][0]
        lanes = QUERIES[isa][many]
        tiles = tokens // together * kv_heads * -(-queries // lanes)
        worth = max(1, tokens * heads * seen * size // _PART)
        chunks, spans = -(-seen // CHUNK), 1
        if tiles < threads:
            # two for each thread: they end together even where their number is no multiple of the tiles
            spans = max(1, min(-(-2 * threads // tiles), chunks, worth // tiles))
        room = tiles * (chunks * (size + 2) * 4 * lanes + 8) if spans > 1 else 0
        return cls(many, min(worth, tiles * spans, threads * _PARTS_PER_THREAD), spans, room)
