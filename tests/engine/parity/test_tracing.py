"""A whole trace: what is summarised and saved, beside a recorder and transformers; how much memory it takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from engine import trace
from engine.errors import ContextError
from engine.generate import PREFILL_CHUNK
from engine.parity import sides, tracing
from engine.parity.saved import Saved
from engine.parity.sides import Live
from engine.parity.taps import Choice
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

IDS = [5, 3, 8, 100, 4, 9, 11]
EVERY = Choice(frozenset({0, 1}), frozenset(trace.ORDER))
ALL_BUT_SCORES = Choice(frozenset({0, 1}), frozenset(trace.ORDER) - {"scores"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("trace") / "tiny.gguf", Shape(context=1200))


@pytest.fixture(scope="module")
def side(model: Path) -> Iterator[Live]:
    with sides.load(sides.parse("reference"), model) as loaded:
        yield loaded


def test_every_place_is_saved_as_the_forward_had_it(side: Live, tmp_path: Path):
    """The recorder sees the same forwards: the prompt at once, then two tokens one by one."""
    path = tmp_path / "t.safetensors"
    found = tracing.run(side, IDS, EVERY, steps=2, save=path)
    recorder = trace.Recorder(on_request=("scores",))
    context = side.context(9)
    context.feed(IDS, tap=recorder)
    for token in found.prompt.token_ids[len(IDS) :]:
        context.feed([token], tap=recorder)
    with safe_open(path, "np") as judged:
        assert set(judged.keys()) == {
            name if layer is None else f"layers.{layer}.{name}" for name, layer in recorder.arrays
        }
        for (name, layer), arrays in recorder.arrays.items():
            tensor = judged.get_tensor(name if layer is None else f"layers.{layer}.{name}")
            start = 0
            for array in arrays:
                shown = tensor[start : start + len(array)]
                if name == "scores":
                    assert not shown[:, :, array.shape[2] :].any()
                    shown = shown[:, :, : array.shape[2]]
                np.testing.assert_array_equal(shown, array)
                start += len(array)
            assert start == len(tensor) == 9


def test_the_tokens_after_the_prompt_are_the_most_probable(side: Live):
    found = tracing.run(side, IDS, EVERY, steps=3)
    ids = list(IDS)
    for _ in range(3):
        ids.append(int(side.llm.logits(ids)[-1].argmax()))
    assert found.prompt.token_ids == tuple(ids)
    assert (found.prompt.prompt_tokens, found.prompt.first) == (7, 0)


def test_places_come_as_the_values_flow(side: Live):
    found = tracing.run(side, IDS, EVERY)
    expected = [("embedding", None)]
    middle = trace.ORDER[1:-2]
    expected += [(name, layer) for layer in (0, 1) for name in middle]
    expected += [("final_norm", None), ("logits", None)]
    assert [place for place, _ in found.places] == expected
    assert dict(found.places)["scores", 0].values == 4 * sum(range(1, 8))


def test_only_what_is_chosen_is_looked_at(side: Live):
    found = tracing.run(side, IDS, Choice(frozenset({1}), frozenset({"q", "logits"})))
    assert [place for place, _ in found.places] == [("q", 1), ("logits", None)]


def test_residuals_are_those_of_transformers(model: Path):
    """Hidden states of the same weights, computed elsewhere; the figures over all tokens by numpy."""
    import torch

    theirs = tiny_qwen2.hf_model(Shape(context=1200), tiny_qwen2.random_tensors(Shape(context=1200)))
    with torch.no_grad():
        hidden = theirs(torch.tensor([IDS]), output_hidden_states=True).hidden_states
    with sides.load(sides.parse("cpu"), model) as cpu:
        found = dict(tracing.run(cpu, IDS, EVERY).places)
    for place, array in (
        (("embedding", None), hidden[0]),
        (("residual", 0), hidden[1]),
        (("final_norm", None), hidden[2]),
    ):
        judged = array[0].numpy().astype(np.float64)
        summary = found[place]
        figures = (summary.mean, summary.std, summary.min, summary.max)
        assert figures == pytest.approx((judged.mean(), judged.std(), judged.min(), judged.max()), abs=1e-5)


def test_scores_are_those_of_transformers(model: Path, tmp_path: Path):
    """Its attention weights; 70 tokens, so that slots go beyond the head dim of 8 and a block of 64."""
    import torch

    ids = list(range(20, 90))
    theirs = tiny_qwen2.hf_model(Shape(context=1200), tiny_qwen2.random_tensors(Shape(context=1200)))
    with torch.no_grad():
        weights = theirs(torch.tensor([ids]), output_attentions=True).attentions
    for name in ("cpu", "cpu-q16", "reference"):
        path = tmp_path / f"{name}.safetensors"
        with sides.load(sides.parse(name), model) as loaded:
            tracing.run(loaded, ids, Choice(frozenset({0, 1}), frozenset({"scores"})), save=path)
        with safe_open(path, "np") as judged:
            for layer in (0, 1):
                expected = weights[layer][0].numpy().transpose(1, 0, 2)
                np.testing.assert_allclose(judged.get_tensor(f"layers.{layer}.scores"), expected, rtol=0, atol=1e-4)


def test_chunks_of_a_long_prompt_are_joined(side: Live, tmp_path: Path):
    """One token more than a chunk; every position is there."""
    ids = [7 + n % 90 for n in range(PREFILL_CHUNK + 1)]
    path = tmp_path / "long.safetensors"
    tracing.run(side, ids, Choice(frozenset({1}), frozenset({"residual", "logits"})), save=path)
    whole = trace.Recorder()
    side.llm.model.forward(ids, side.llm.new_cache(), tap=whole)
    with safe_open(path, "np") as judged:
        for tensor, expected in (
            ("layers.1.residual", whole.tokens("residual", 1)),
            ("logits", whole.tokens("logits")),
        ):
            np.testing.assert_allclose(judged.get_tensor(tensor), expected, rtol=0, atol=1e-4)


def test_memory_does_not_grow_with_the_prompt(model: Path, tmp_path: Path):
    """Beyond one chunk only the cache does, and it is doubled as a whole; the arrays of a token have 6 kB.

    On the CPU, whose attention keeps no scores.
    """
    path, peaks = tmp_path / "m.safetensors", []
    with sides.load(sides.parse("cpu"), model, threads=1) as cpu:
        for chunks in (1, 2, 4):  # the first loads compiled code
            ids = [7 + n % 90 for n in range(chunks * PREFILL_CHUNK)]
            tracemalloc.start()
            tracing.run(cpu, ids, ALL_BUT_SCORES, save=path)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    cache_bytes = 4 * PREFILL_CHUNK * 2 * 2 * 16 * 4  # 2 layers, keys and values, 2 heads of 8, float32
    assert peaks[2] < peaks[1] + 2 * cache_bytes
    assert path.stat().st_size > 4 * PREFILL_CHUNK * 6000 > 4 * cache_bytes


def test_an_error_leaves_no_file(side: Live, tmp_path: Path):
    with pytest.raises(ContextError, match="no tokens to run"):
        tracing.run(side, [], EVERY, save=tmp_path / "t.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_not_finite_are_saved_and_counted(tmp_path: Path):
    """A broken model is what a trace is for; a comparison refuses the file."""
    tensors = tiny_qwen2.random_tensors(Shape())
    tensors["blk.1.attn_norm.weight"][:] = 3e38  # finite, its products are not
    path = tiny_qwen2.write_gguf(tmp_path / "nan.gguf", tensors, tiny_qwen2.metadata(Shape()))
    with sides.load(sides.parse("reference"), path) as broken:
        found = tracing.run(broken, IDS, ALL_BUT_SCORES, save=tmp_path / "t.safetensors")
    summaries = dict(found.places)
    assert summaries["residual", 0].not_finite == 0
    assert summaries["attn_norm", 1].not_finite >= len(IDS)
    assert found.not_finite == sum(summary.not_finite for summary in summaries.values()) > len(IDS)
    with Saved(sides.parse(str(tmp_path / "t.safetensors"))) as saved:
        assert saved.about.backend == "reference"
