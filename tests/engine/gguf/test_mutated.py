"""Random damage to a valid header: refused by our error or read, never another exception, never slow or large."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np

from engine.errors import GgufError
from engine.gguf.reader import open_gguf
from support.gguf_builder import valid_file

SEED = 20250908
MUTANTS = 2_000
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def mutate(raw: bytes, header: int, rng: np.random.Generator) -> bytes:
    """One to four edits inside the header: a byte, eight bytes of a count, a removed or a repeated stretch."""
    out = bytearray(raw)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(0, header))
        kind = rng.integers(0, 4)
        if kind == 0:
            out[place] = int(rng.integers(0, 256))
        elif kind == 1:
            out[place : place + 8] = bytes([INTERESTING[rng.integers(0, 5)]]) * int(rng.integers(1, 9))
        elif kind == 2:
            del out[place : place + int(rng.integers(1, 32))]
        else:
            out[place:place] = out[place : place + int(rng.integers(1, 32))]
    return bytes(out)


def test_mutants_end_in_our_error_or_in_a_file(tmp_path: Path) -> None:
    builder = valid_file()
    raw = builder.build()
    path = tmp_path / "mutant.gguf"
    rng = np.random.default_rng(SEED)
    messages: list[str] = []
    slowest = 0.0
    tracemalloc.start()
    try:
        for number in range(MUTANTS):
            path.unlink(missing_ok=True)
            path.write_bytes(mutate(raw, builder.at["padding"], rng))
            start = time.perf_counter()
            try:
                with open_gguf(path) as file:
                    for name in file.tensors:
                        assert file.data(name).nbytes == file.tensors[name].size_bytes, f"mutant {number}"
            except GgufError as err:
                messages.append(str(err))
            slowest = max(slowest, time.perf_counter() - start)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [message for message in messages if not message.isprintable()] == []
    assert MUTANTS * 0.5 < len(messages) < MUTANTS, "the damage is too weak or too strong"
    assert slowest < 1.0
    assert peak < 8 * 1024 * 1024
