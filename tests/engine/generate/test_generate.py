"""Generation against transformers' greedy search, and against a model that counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import generate as generation
from engine.errors import ContextError
from engine.generate import Timings, generate
from engine.gguf.reader import open_gguf
from engine.kv_cache import KvCache
from engine.models import load_model
from engine.ops import reference
from engine.sampling import Sampling
from support import tiny_qwen2
from support.tiny_qwen2 import Shape


class Counting:
    """A model of 10 tokens that always says the last token plus one, and remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[int]]] = []

    def forward(self, token_ids: Sequence[int], kv_cache: KvCache, **_: Any) -> Any:
        self.calls.append((kv_cache.length, list(token_ids)))
        zeros = np.zeros((len(token_ids), 1, 2), np.float32)
        kv_cache.append(0, zeros, zeros)
        return np.eye(10, dtype=np.float32)[[(token_ids[-1] + 1) % 10]]


def run(model: Any, prompt: list[int], *, context: int = 64, **options: Any) -> list[int]:
    options = {"params": Sampling(), "max_tokens": 8, "end_ids": {9}, **options}
    return list(generate(model, prompt, kv_cache=KvCache(1, 1, 2, context), **options))


def test_prompt_is_run_once_and_each_token_once():
    model = Counting()
    assert run(model, [1, 2, 3]) == [4, 5, 6, 7, 8, 9]
    assert model.calls == [(0, [1, 2, 3]), (3, [4]), (4, [5]), (5, [6]), (6, [7]), (7, [8])]


def test_end_token_is_the_last_one_yielded():
    assert run(Counting(), [7]) == [8, 9]


def test_max_tokens_ends_without_a_forward_too_many():
    model = Counting()
    assert run(model, [0], max_tokens=3) == [1, 2, 3]
    assert len(model.calls) == 3


def test_full_context_ends():
    """Context 5, prompt 3: tokens at positions 3 and 4 are run, and the token after them is still said."""
    assert run(Counting(), [0, 1, 2], context=5) == [3, 4, 5]


def test_prompt_as_long_as_the_context_gives_one_token():
    assert run(Counting(), [0, 1, 2], context=3) == [3]


def test_prompt_longer_than_the_context_is_refused():
    with pytest.raises(ContextError, match="prompt has 4 tokens, the context holds 3"):
        run(Counting(), [0, 1, 2, 3], context=3)


def test_empty_prompt_is_refused():
    with pytest.raises(ContextError, match="prompt is empty; it must have at least one token"):
        run(Counting(), [])


def test_cache_is_emptied_first():
    model, cache = Counting(), KvCache(1, 1, 2, 16)
    for _ in range(2):
        list(generate(model, [5, 6], kv_cache=cache, params=Sampling(), max_tokens=2, end_ids=()))
    assert [call for call in model.calls if len(call[1]) == 2] == [(0, [5, 6]), (0, [5, 6])]


def test_long_prompt_is_prefilled_in_chunks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generation, "PREFILL_CHUNK", 3)
    model = Counting()
    assert run(model, [0, 1, 2, 3, 4, 5, 6], max_tokens=1) == [7]
    assert model.calls == [(0, [0, 1, 2]), (3, [3, 4, 5]), (6, [6])]


def test_timings_count_what_was_run():
    timings = Timings()
    run(Counting(), [0, 1, 2], max_tokens=4, timings=timings)
    assert (timings.prefill_tokens, timings.decode_tokens) == (3, 3)
    assert timings.prefill_tokens_per_s > 0
    assert timings.decode_tokens_per_s > 0


class Choosing(Counting):
    """One that chooses by itself, as on a GPU; its logits are not to be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[int]] = []

    def next_token(self, token_ids: Sequence[int], kv_cache: KvCache) -> int:
        self.asked.append(list(token_ids))
        return int(Counting.forward(self, token_ids, kv_cache)[-1].argmax())

    def forward(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("logits were asked for")


def test_a_model_that_chooses_keeps_its_logits(monkeypatch: pytest.MonkeyPatch):
    """The prompt goes to it whole, however long: it knows what its memory holds."""
    monkeypatch.setattr(generation, "PREFILL_CHUNK", 2)
    model, timings = Choosing(), Timings()
    assert run(model, [1, 2, 3], timings=timings) == run(Counting(), [1, 2, 3])
    assert model.asked == [[1, 2, 3], [4], [5], [6], [7], [8]]
    assert (timings.prefill_tokens, timings.decode_tokens) == (3, 5)


@pytest.mark.parametrize(
    "options", [{"params": Sampling(temperature=1, seed=0)}, {"tap": lambda *_: None}], ids=["sampling", "tap"]
)
def test_who_needs_logits_gets_them(options: dict[str, Any]):
    with pytest.raises(AssertionError, match="logits were asked for"):
        run(Choosing(), [1, 2, 3], **options)


def test_no_time_is_no_speed():
    assert Timings().decode_tokens_per_s == 0


@pytest.mark.parametrize("chunk", [4, 256])
def test_greedy_tokens_equal_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int):
    monkeypatch.setattr(generation, "PREFILL_CHUNK", chunk)
    shape = Shape(layers=3)
    tensors = tiny_qwen2.random_tensors(shape, seed=11)
    path = tiny_qwen2.write_gguf(tmp_path / "t.gguf", tensors, tiny_qwen2.metadata(shape))
    ours, theirs = load_model(open_gguf(path), reference), tiny_qwen2.hf_model(shape, tensors)
    prompt = [5, 300, 17, 42, 99, 7, 7, 256, 12]
    expected = theirs.generate(
        torch.tensor([prompt]), max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0
    )[0, len(prompt) :].tolist()
    tokens = list(generate(ours, prompt, kv_cache=ours.new_cache(), params=Sampling(), max_tokens=24, end_ids=()))
    assert tokens == expected
    assert len(set(expected)) > 5, "a constant answer would prove little"
