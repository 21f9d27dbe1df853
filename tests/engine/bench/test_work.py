"""Bytes and flops of a figure, against counts by hand and the sizes of the published 7B."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine import synthetic
from engine.bench.figure import Figure
from engine.bench.work import Weights, weights_of, work
from engine.gguf.reader import open_gguf

SIZES = SimpleNamespace(num_layers=2, num_heads=3, head_dim=5)
WEIGHTS = Weights(bytes=1000, layers=70, output=11)
PER_SLOT = 4 * 2 * 3 * 5


def cost(figure: Figure, *, new_tokens: int = 1, chunk: int = 4) -> tuple[float, float]:
    found = work(WEIGHTS, SIZES, figure, new_tokens=new_tokens, chunk=chunk, position_bytes=40)
    return found.bytes * (figure.tokens if figure.kind == "prefill" else 1), found.flops * (
        figure.tokens if figure.kind == "prefill" else 1
    )


def test_first_token_of_an_empty_cache_sees_itself() -> None:
    assert cost(Figure("decode", 0)) == (1000 + 40, 2 * 81 + PER_SLOT)


def test_decode_of_three_tokens_sees_two_slots_more_than_before_on_average() -> None:
    """Behind 10 tokens the three see 11, 12 and 13 slots."""
    assert cost(Figure("decode", 10), new_tokens=3) == (1000 + 40 * 12, 2 * 81 + PER_SLOT * 12)


def test_prefill_reads_the_weights_once_for_each_chunk() -> None:
    """6 tokens in chunks of 4: two forwards, the second sees 6 slots; tokens see 1 + 2 + ... + 6 = 21 slots."""
    bytes_, flops = cost(Figure("prefill", 6))
    assert bytes_ == pytest.approx(2 * 1000 + 40 * (4 + 6))
    assert flops == pytest.approx(2 * (70 * 6 + 11 * 2) + PER_SLOT * 21)


def test_decode_reads_every_matrix_but_an_embedding_that_is_not_the_output(tmp_path: Path) -> None:
    """The published 7B: 4,680 MB, of which token_embd has 152064 rows of 14 Q4_K blocks; 6.525e9 weights in layers."""
    path = synthetic.write("qwen2.5-7b", tmp_path / "m.gguf", sparse=True)
    with open_gguf(path, strict=True) as file:
        matrices = sum(info.size_bytes for info in file.tensors.values() if len(info.shape) == 2)
        found = weights_of(file)
    assert found.bytes == matrices - 152_064 * 14 * 144
    assert found.bytes / 1e9 == pytest.approx(4.37, abs=0.005)
    assert found.layers / 1e9 == pytest.approx(6.525, abs=0.0005)
    assert found.output == 152_064 * 3584


def test_a_tied_embedding_is_read_as_the_output(tmp_path: Path) -> None:
    path = synthetic.write("qwen2.5-0.5b", tmp_path / "m.gguf", sparse=True)
    with open_gguf(path) as file:
        assert weights_of(file).output == 151_936 * 896
