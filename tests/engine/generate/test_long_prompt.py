"""Prompts as long as the context: run in chunks, in bounded memory, with the logits of the whole prompt at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.generate import PREFILL_CHUNK, prefill
from engine.llm import Llm
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

CONTEXT = 4096
SHAPE = Shape(hidden=32, layers=1, heads=2, kv_heads=1, ffn=32, context=CONTEXT)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("long") / "long.gguf", SHAPE)


@pytest.mark.parametrize(("precision", "kind"), [("f32", "f32"), ("q8", "f16")])
def test_a_prompt_of_4096_tokens_fills_the_context(path: Path, precision: str, kind: str) -> None:
    """Bitwise the logits of one forward of all tokens; the chunk is a fraction of the prompt."""
    with Llm.load(path, precision=precision) as llm:
        assert llm.kv_type == kind
        ids = (np.arange(CONTEXT) * 7919 % 300).tolist()
        assert CONTEXT > 8 * PREFILL_CHUNK
        chunked = prefill(llm.model, ids, llm.kv_cache)
        assert llm.kv_cache.length == CONTEXT
        assert llm.kv_cache.size_bytes == 2 * CONTEXT * 16 * (2 if kind == "f16" else 4)
        whole = llm.model.forward(ids, llm.model.new_cache().empty_as(kind), last_only=True)
    np.testing.assert_array_equal(chunked, whole)
