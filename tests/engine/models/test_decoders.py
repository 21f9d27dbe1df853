"""llama, qwen2 and qwen3, with every feature their files may ask for, against Hugging Face transformers in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.gguf.reader import open_gguf
from engine.models import load_model, load_on
from engine.ops import cpu, reference
from falsifiers.data import make_decoders
from falsifiers.data.make_decoders import CASES

# Ours is float32; logits are of order 1 to 10.
TOLERANCE = 1e-4
BACKENDS = {"reference": reference, "cpu": cpu}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """A file and the judge in float64, per case."""
    folder = tmp_path_factory.mktemp("decoders")
    found = {}
    for seed, (name, case) in enumerate(CASES.items()):
        judge = make_decoders.build(case, 100 + seed)
        path = make_decoders.write(folder / f"{seed}.gguf", case, judge)
        found[name] = path, judge.double()
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_logits_equal_transformers(pairs: dict[str, tuple[Path, Any]], name: str, backend: str):
    """At every position of 40 tokens: beyond the window of 5 and the original context of 16."""
    path, judge = pairs[name]
    ours: Any = load_model(open_gguf(path), BACKENDS[backend])  # type: ignore[arg-type]
    ids = np.random.default_rng(7).integers(0, CASES[name].vocab, 40)
    expected = make_decoders.judged(judge, ids)
    assert float(np.abs(expected).max()) > 1, "logits too small for the comparison to mean anything"
    np.testing.assert_allclose(ours.forward(ids, ours.new_cache()), expected, rtol=0, atol=TOLERANCE)
    cache = ours.new_cache()
    parts = [ours.forward(part, cache) for part in np.split(ids, [9, 10, 11, 30, 31])]
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=TOLERANCE)
    assert ours.unused_tensors == ()


@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_precisions_turn_and_attend_alike(pairs: dict[str, tuple[Path, Any]], precision: str):
    """Adjacent pairs, scaled angles and windows; F32 weights are multiplied in float32 in every precision."""
    for name in ("mistral", "qwen3_yarn"):
        path, judge = pairs[name]
        ours: Any = load_on("cpu", open_gguf(path), precision)
        ids = np.arange(20)
        expected = make_decoders.judged(judge, ids)
        np.testing.assert_allclose(ours.forward(ids, ours.new_cache()), expected, rtol=0, atol=TOLERANCE)
