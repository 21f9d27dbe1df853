"""What is measured how often and from what, on a subject whose clock is ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bench.breakdown import breakdown
from engine.bench.figure import Figure, Left, Samples
from engine.bench.host import subjects
from engine.bench.measure import Runs, measure
from engine.bench.subject import fill, position_bytes
from engine.bench.timer import HostTimer
from engine.gguf.reader import open_gguf
from support import tiny_qwen2
from support.benchmarks import STEP_S, Known


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    subject = Known(tiny_qwen2.write_tiny(tmp_path / "tiny.gguf"))
    yield subject
    subject.release()


def test_every_figure_is_measured_in_each_round_and_the_first_round_is_not_counted(known: Known) -> None:
    figures = [Figure("prefill", 5), Figure("decode", 3)]
    said: list[str] = []
    speeds, left = measure([Runs(known, 2)], figures, repeats=3, new_tokens=2, peer=None, say=said.append)
    assert left == []
    assert [(s.subject, s.figure, s.samples.values) for s in speeds] == [
        ("cpu f32", figures[0], (5 / STEP_S,) * 3),
        ("cpu f32", figures[1], (2 / STEP_S,) * 3),
    ]
    assert said == [f"round {n} of 3: cpu f32 {figure}" for n in range(4) for figure in figures]


def test_decode_starts_behind_a_filled_cache_every_time(known: Known) -> None:
    run = Runs(known, 2)
    for _ in range(3):
        run.tokens_per_s(Figure("decode", 3))
    assert known.asked == ["array (3, 2, 8)"] * 2 + ["1 at 3", "1 at 4"] * 3


def test_a_long_context_is_filled_in_pieces_of_all_layers(known: Known) -> None:
    cache = known.model.new_cache(100)
    fill(known, cache, 100)
    assert cache.length == 100
    assert all((array == 1).all() for layer in range(2) for array in cache.view(layer))


def test_a_figure_beyond_the_context_is_left_out_with_its_reason(known: Known) -> None:
    figure = Figure("decode", 127)
    speeds, left = measure([Runs(known, 2)], [figure], repeats=1, new_tokens=2, peer=None, say=lambda _: None)
    assert speeds == []
    assert left == [Left("cpu f32", figure, "needs 129 positions, the model's context holds 128")]


def test_breakdown_adds_calls_of_one_operation_and_sorts_by_time(known: Known) -> None:
    found = breakdown(Runs(known, 1), Figure("prefill", 4))
    assert [(part.operation, part.seconds, part.calls) for part in found.parts] == [
        ("matmul", 2 * STEP_S, 2),
        ("rope", STEP_S, 1),
    ]
    assert (found.tokens, found.seconds) == (4, 3 * STEP_S)


def test_breakdown_of_the_cpu_names_every_operation_of_a_layer(tmp_path: Path) -> None:
    """A layer of qwen2 has 7 products, 2 norms, 3 biases, 2 rotations, 2 residual additions; the model has 2 layers."""
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    with open_gguf(path) as file:
        (subject,) = subjects(file, [("reference", "f32")], None, HostTimer())
        found = breakdown(Runs(subject, 1), Figure("decode", 2))
        assert {part.operation: part.calls for part in found.parts} == {
            "matmul F32": 15, "rms_norm": 5, "add_bias": 6, "rope": 4, "attention": 2, "swiglu": 2, "add": 4,
            "embedding F32": 1,
        }  # fmt: skip
        assert all(part.seconds > 0 for part in found.parts)
        # keys and values of 2 heads of 8 float32 in 2 layers
        assert position_bytes(subject) == 2 * 2 * 2 * 8 * 4


def test_median_spread_and_ratios_within_each_round() -> None:
    ours, peers = Samples((4.0, 9.0, 1.0)), Samples((2.0, 3.0, 4.0))
    assert (ours.median, ours.low, ours.high) == (4.0, 1.0, 9.0)
    assert ours.over(peers).values == (2.0, 3.0, 0.25)
    assert ours.times(2).values == (8.0, 18.0, 2.0)
