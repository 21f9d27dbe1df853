"""The forward against Hugging Face's Qwen2ForCausalLM, on random weights that the `gguf` package wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import ContextError, EngineError, GgufError, ModelError, ShapeError
from engine.gguf.reader import open_gguf
from engine.models import load_model
from engine.models.qwen2 import Qwen2
from engine.ops import reference
from engine.trace import LAYER_TAPS, MODEL_TAPS, Recorder
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

# Both sides are float32 with sums in another order; logits are of order 1.
TOLERANCE = 1e-4

SHAPES = {
    "grouped": Shape(),
    "tied": Shape(tied=True),
    "one kv head": Shape(hidden=48, heads=3, kv_heads=1, ffn=37, layers=3),
    "no groups": Shape(heads=2, kv_heads=2, theta=1e6, eps=1e-5, layers=1),
}


def load(path: Path) -> Qwen2:
    model = load_model(open_gguf(path), reference)
    assert isinstance(model, Qwen2)
    return model


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Qwen2, Any]]:
    """Our model and Hugging Face's, per shape, with equal weights."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for seed, (name, shape) in enumerate(SHAPES.items()):
        tensors = tiny_qwen2.random_tensors(shape, seed)
        path = tiny_qwen2.write_gguf(folder / f"{seed}.gguf", tensors, tiny_qwen2.metadata(shape))
        found[name] = load(path), tiny_qwen2.hf_model(shape, tensors)
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> Qwen2:
    return load(tiny_qwen2.write_tiny(tmp_path / "tiny.gguf"))


def token_ids(count: int, vocab_size: int) -> list[int]:
    return np.random.default_rng(count).integers(0, vocab_size, count).tolist()


def judge(model: Any, ids: list[int]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_logits_equal_transformers_at_every_position(pairs, name: str, length: int):
    ours, theirs = pairs[name]
    ids = token_ids(length, ours.config.vocab_size)
    logits = ours.forward(ids, ours.new_cache())
    expected = judge(theirs, ids)
    assert logits.shape == expected.shape
    assert float(np.abs(expected).max()) > 1, "logits too small for the comparison to mean anything"
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("splits", [(1,), (5, 6), (12,), tuple(range(1, 17))], ids=["1", "5 and 6", "12", "each"])
def test_prefill_and_decode_equal_transformers(pairs, name: str, splits: tuple[int, ...]):
    """However 17 tokens are split over forwards, the cache gives what one forward over all of them gives."""
    ours, theirs = pairs[name]
    ids = token_ids(17, ours.config.vocab_size)
    cache = ours.new_cache()
    parts = [ours.forward(part, cache) for part in np.split(np.array(ids), splits)]
    np.testing.assert_allclose(np.concatenate(parts), judge(theirs, ids), rtol=0, atol=TOLERANCE)
    assert cache.length == 17


def test_cache_equals_transformers_own_cache(pairs):
    """Decode steps against decode steps: the judge uses its cache too."""
    ours, theirs = pairs["grouped"]
    ids = token_ids(9, ours.config.vocab_size)
    cache, past = ours.new_cache(), None
    for part in (ids[:4], ids[4:5], ids[5:8], ids[8:]):
        with torch.no_grad():
            result = theirs(torch.tensor([part]), past_key_values=past, use_cache=True)
        past = result.past_key_values
        np.testing.assert_allclose(ours.forward(part, cache), result.logits[0].numpy(), rtol=0, atol=TOLERANCE)


def test_last_only_is_the_last_row(tiny: Qwen2):
    ids = token_ids(11, tiny.config.vocab_size)
    last = tiny.forward(ids, tiny.new_cache(), last_only=True)
    assert last.shape == (1, tiny.config.vocab_size)
    np.testing.assert_allclose(last[0], tiny.forward(ids, tiny.new_cache())[-1], rtol=0, atol=1e-5)


def test_taps_do_not_change_the_logits(tiny: Qwen2):
    """Bitwise: the taps look at the production forward and are no second one."""
    ids = token_ids(13, tiny.config.vocab_size)
    plain = tiny.forward(ids, tiny.new_cache())
    tapped = tiny.forward(ids, tiny.new_cache(), tap=Recorder())
    assert plain.tobytes() == tapped.tobytes()


def test_taps_name_every_place_once(tiny: Qwen2):
    recorder = Recorder()
    tiny.forward([1, 2, 3], tiny.new_cache(), tap=recorder)
    expected = {(name, None) for name in MODEL_TAPS}
    expected |= {(name, layer) for name in LAYER_TAPS for layer in range(tiny.config.num_layers)}
    assert set(recorder.arrays) == expected
    assert all(len(arrays) == 1 and len(arrays[0]) == 3 for arrays in recorder.arrays.values())


def test_taps_show_what_transformers_computes(pairs):
    """Hidden states after the embedding, after each layer but the last, and after the final norm."""
    ours, theirs = pairs["grouped"]
    ids = token_ids(6, ours.config.vocab_size)
    recorder = Recorder()
    ours.forward(ids, ours.new_cache(), tap=recorder)
    with torch.no_grad():
        hidden = theirs(torch.tensor([ids]), output_hidden_states=True).hidden_states
    ours_hidden = [recorder.tokens("embedding"), recorder.tokens("residual", 0), recorder.tokens("final_norm")]
    for mine, judged in zip(ours_hidden, hidden, strict=True):
        np.testing.assert_allclose(mine, judged[0].numpy(), rtol=0, atol=TOLERANCE)


def test_tied_output_is_the_embedding(pairs):
    assert pairs["tied"][0].tied
    assert not pairs["grouped"][0].tied


def test_no_tokens_are_refused(tiny: Qwen2):
    with pytest.raises(ContextError, match="no tokens to run; a forward needs at least one"):
        tiny.forward([], tiny.new_cache())


def test_more_tokens_than_the_context_are_refused(tiny: Qwen2):
    cache = tiny.new_cache()
    tiny.forward([1] * 100, cache, last_only=True)
    with pytest.raises(ContextError, match="100 cached and 29 new tokens exceed the context of 128"):
        tiny.forward([1] * 29, cache)


@pytest.mark.parametrize("bad", [-1, 403])
def test_token_outside_the_vocabulary_is_refused(tiny: Qwen2, bad: int):
    with pytest.raises(ShapeError, match=rf"token_embd.weight: token id {bad} is outside 0\.\.402"):
        tiny.forward([0, bad], tiny.new_cache())


REFUSED: dict[str, tuple[dict[str, Any], type[EngineError], str]] = {
    "M01 too many layers": (
        {"qwen2__block_count": 513},
        ModelError,
        r"GGUF-M01: qwen2.block_count says 513, tensors exist for 2",
    ),
    "M01 no layers": ({"qwen2__block_count": 0}, ModelError, r"GGUF-M01: qwen2.block_count is 0"),
    "M01 sign": ({"qwen2__block_count": 2**32 - 1}, ModelError, r"GGUF-M01: qwen2.block_count is 4294967295"),
    "M01 fewer layers": (
        {"qwen2__block_count": 1},
        ModelError,
        r"GGUF-M01: qwen2.block_count says 1, tensors exist for 2",
    ),
    "M02 no heads": ({"qwen2__attention__head_count": 0}, ModelError, r"GGUF-M02: .*head_count is 0"),
    "M02 no kv heads": ({"qwen2__attention__head_count_kv": 0}, ModelError, r"GGUF-M02: .*head_count_kv is 0"),
    "M02 not a multiple": (
        {"qwen2__attention__head_count_kv": 3},
        ModelError,
        r"GGUF-M02: .*head_count is 4, must be a multiple of head_count_kv, 3",
    ),
    "M02 heads do not divide": ({"qwen2__attention__head_count": 6}, ModelError, r"GGUF-M02: .*embedding_length is 32"),
    "M03 embedding": (
        {"qwen2__embedding_length": 64},
        ModelError,
        r"GGUF-M03: qwen2.embedding_length says 64, the shape of 'token_embd.weight' is \(403, 32\)",
    ),
    "M03 ffn": (
        {"qwen2__feed_forward_length": 47},
        ModelError,
        r"GGUF-M03: tensor 'blk.0.ffn_gate.weight' has shape \(48, 32\), the metadata asks for \(47, 32\)",
    ),
    "odd head": ({"qwen2__attention__key_length": 7}, ModelError, r"GGUF-M02: head dimension is 7, must be even"),
    "part rotary": ({"qwen2__rope__dimension_count": 4}, ModelError, r"rope.dimension_count is 4, supported is only"),
    "longrope": (
        {"qwen2__rope__scaling__type": "longrope"},
        ModelError,
        r"GGUF-K12: qwen2.rope.scaling.type is 'longrope'; supported: 'none', 'linear', 'yarn'$",
    ),
    "no factor": (
        {"qwen2__rope__scaling__type": "linear", "qwen2__rope__scaling__factor": 0.0},
        ModelError,
        r"GGUF-K11: qwen2.rope.scaling.factor is 0.0, must be finite and above 0$",
    ),
    "yarn of another model": (
        {"qwen2__rope__scaling__type": "yarn", "qwen2__rope__scaling__yarn_log_multiplier": 0.5},
        ModelError,
        r"GGUF-K12: qwen2.rope.scaling.yarn_log_multiplier is 0.5; supported: 0.0$",
    ),
    "yarn without a base": (
        {"qwen2__rope__scaling__type": "yarn", "qwen2__rope__freq_base": 1.0},
        ModelError,
        r"GGUF-K11: qwen2.rope.freq_base is 1.0, must be above 1 for yarn$",
    ),
    "experts": (
        {"qwen2__expert_count": 8},
        ModelError,
        r"GGUF-K12: qwen2.expert_count is 8; supported: models without experts$",
    ),
    "short pattern": (
        {"qwen2__attention__sliding_window": 8, "qwen2__attention__sliding_window_pattern": [True]},
        ModelError,
        r"GGUF-M02: qwen2.attention.sliding_window_pattern has 1 entries, must have one for each of 2 layers$",
    ),
    "pattern of numbers": (
        {"qwen2__attention__sliding_window": 8, "qwen2__attention__sliding_window_pattern": [1, 0]},
        ModelError,
        r"GGUF-K13: qwen2.attention.sliding_window_pattern is an array of int32; expected bools or a number$",
    ),
    "missing key": ({"qwen2__context_length": None}, GgufError, r"GGUF-K13: .*'qwen2.context_length' is missing"),
    "wrong type": ({"qwen2__context_length": "128"}, GgufError, r"GGUF-K13 .*'qwen2.context_length' is string '128'"),
}


@pytest.mark.parametrize(("changed", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_contradicting_metadata_is_refused(
    tmp_path: Path, changed: dict[str, Any], kind: type[EngineError], message: str
):
    path = tiny_qwen2.write_tiny(tmp_path / "bad.gguf", **changed)
    with pytest.raises(kind, match=r"^bad\.gguf: .*" + message):
        load(path)


@pytest.mark.parametrize(
    "name", ["token_embd.weight", "blk.1.attn_q.weight", "blk.0.attn_k.bias", "output_norm.weight"]
)
def test_m04_missing_tensor_is_named(tmp_path: Path, name: str):
    tensors = tiny_qwen2.random_tensors(Shape())
    del tensors[name]
    path = tiny_qwen2.write_gguf(tmp_path / "m.gguf", tensors, tiny_qwen2.metadata(Shape()))
    with pytest.raises(ModelError, match=rf"^m\.gguf: GGUF-M04: missing tensor '{name}'$"):
        load(path)


def test_m04_unused_tensors_are_reported(tmp_path: Path):
    tensors = {**tiny_qwen2.random_tensors(Shape()), "blk.0.attn_rot_embd.weight": np.ones(4, np.float32)}
    path = tiny_qwen2.write_gguf(tmp_path / "m.gguf", tensors, tiny_qwen2.metadata(Shape()))
    assert load(path).unused_tensors == ("blk.0.attn_rot_embd.weight",)


def test_a_model_in_several_files_is_the_model(tmp_path: Path):
    tensors, values = tiny_qwen2.random_tensors(Shape()), tiny_qwen2.metadata(Shape())
    whole = tiny_qwen2.write_gguf(tmp_path / "whole.gguf", tensors, values)
    tiny_qwen2.write_gguf(tmp_path / "split.gguf", tensors, values, tensors_per_file=7)
    first, *others = sorted(tmp_path.glob("split-*.gguf"))
    assert len(others) >= 2
    token_ids = np.array([5, 6, 7, 8])
    one, several = load(whole), load(first)
    expected = one.forward(token_ids, one.new_cache())
    assert np.array_equal(several.forward(token_ids, several.new_cache()), expected)


def test_unknown_architecture_names_the_supported_ones(tmp_path: Path):
    path = tiny_qwen2.write_gguf(
        tmp_path / "m.gguf", tiny_qwen2.random_tensors(Shape()), tiny_qwen2.metadata(Shape()), architecture="mamba"
    )
    with pytest.raises(
        ModelError, match=r"GGUF-K12: general.architecture 'mamba' is not supported; supported: llama, qwen2, qwen3$"
    ):
        load(path)
