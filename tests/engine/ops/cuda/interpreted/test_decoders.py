"""Scaled angles, both kinds of pairs, norms of heads, biases and windows: on the device as on the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.gguf.reader import open_gguf
from engine.kv_cache import KvCache
from engine.models import load_model
from engine.models.on_device import OnDevice
from engine.ops import reference
from falsifiers.data import make_decoders
from falsifiers.data.make_decoders import LLAMA_3, YARN, YARN_KEYS, Case

WINDOW = {"attention.sliding_window": 3}

CASES = {
    "llama": Case("LlamaForCausalLM", "llama", {"attention_bias": True, "mlp_bias": True}, LLAMA_3, layers=1),
    "mistral": Case("MistralForCausalLM", "llama", {"sliding_window": 3}, YARN, {**YARN_KEYS, **WINDOW}, layers=1),
    "qwen3": Case("Qwen3ForCausalLM", "qwen3", {"tie_word_embeddings": True}, head_dim=16, layers=1, metadata=WINDOW),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_beside_the_reference(tmp_path: Path, name: str) -> None:
    """A prompt and single tokens beyond the window; keys and values are rounded to float16 on both sides."""
    case = CASES[name]
    path = make_decoders.write(tmp_path / "m.gguf", case, make_decoders.build(case, 3))
    ids = np.random.default_rng(5).integers(0, case.vocab, 8)
    with open_gguf(path) as file:
        oracle: Any = load_model(file, reference)
        expected = oracle.forward(ids, KvCache(case.layers, case.kv_heads, case.head_dim, len(ids), "f16"))
        model = OnDevice(file, load_model, precision="f32")
        cache = model.new_cache()
        found = np.concatenate([model.forward(part, cache) for part in np.split(ids, [6, 7])])
        model.release()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
