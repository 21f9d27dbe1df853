"""Attempts to refute contracts/engine/no-f32-copy-v2.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine import synthetic
from engine.gguf.reader import open_gguf
from engine.llm import Llm
from engine.models import load_on
from engine.models.protocol import Model
from falsifiers.support import cpu_integer, engines, prompts
from falsifiers.support.faults import for_child
from falsifiers.support.recorder import Recorder

ROOT = Path(__file__).parents[2]
SHAPE = synthetic.Shape(2048, 6144, 5, 16, 4, 8192, False)
"""150 MB: five layers of a model of 1.5 to 3 billion weights."""

CHILD = """
import json, sys
from contextlib import ExitStack
from pathlib import Path
from falsifiers.support import faults
from falsifiers.support.peak import ask

small, large, precision, *names = sys.argv[1:]
with ExitStack() as stack:
    for name in names:
        stack.enter_context(getattr(faults, name)())
    print(json.dumps(ask(Path(small), Path(large), precision)))
"""


@pytest.mark.falsifies("FALSIFY-NO-F32-COPY-001")
def test_no_float32_copy_is_held(pv: Recorder) -> None:
    """Refuted by arrays that numpy still holds after prefill and decode, the KV cache aside, above 15 % of the file.

    Seen failing under weights_decoded_at_load.
    """
    share = _held(pv, lambda: engines.model(pv.model, "cpu"))
    pv.record("bytes held over bytes of the file", share, limit=0.15)


@pytest.mark.falsifies("FALSIFY-NO-F32-COPY-003")
@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_rearranged_weights_are_held_once(pv: Recorder, precision: str) -> None:
    """Refuted by arrays that numpy still holds after prefill and decode, the KV cache aside, above 1.15 of the file.

    Seen failing under weights_decoded_at_load, integer_weights_copied and integer_weights_decoded.
    """
    share = _held(pv, lambda: load_on("cpu", open_gguf(pv.model), precision))
    pv.record("bytes held over bytes of the file", share, limit=1.15)


def _held(pv: Recorder, load: Callable[[], Model]) -> float:
    """Bytes of arrays that a loaded model holds after it has answered, besides its KV cache, over the file's size."""
    warm = load()  # loading compiled code would be traced as well, slowly
    warm.forward(range(2), warm.new_cache())
    del warm
    tracemalloc.start()
    try:
        model = load()
        cache = model.new_cache()
        model.forward(range(8), cache)
        model.forward([8], cache)
        arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
        held = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
    finally:
        tracemalloc.stop()
    engines.ran_on(pv, model.ops)
    assert held >= cache.size_bytes, "numpy's memory is not traced"
    return (held - cache.size_bytes) / pv.model.stat().st_size


@pytest.mark.falsifies("FALSIFY-NO-F32-COPY-002")
def test_products_read_the_mapped_file(pv: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuted by one matrix product, in prefill or decode, whose weight is not the mapped tensor of its name and type.

    Seen failing under weights_decoded_at_load.
    """
    ops = engines.ops("cpu")
    original = ops.matmul
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        copied: list[str] = []
        products = 0

        def watched(x: Any, weight: Any) -> Any:
            nonlocal products
            products += 1
            mapped = llm.file.data(weight.name)
            if weight.type != llm.file.tensors[weight.name].type or not np.shares_memory(weight.data, mapped):
                copied.append(weight.name)
            return original(x, weight)

        monkeypatch.setattr(ops, "matmul", watched)
        prompts.ask(llm, prompts.QUESTIONS[0], max_tokens=2)
        layers = llm.model.config.num_layers
    pv.record("products outside the mapped file", len(copied), limit=0, unit="products")
    pv.record("products watched", products, limit=2 * (7 * layers + 1), unit="products", bound="at_least")
    assert not copied, copied


@pytest.mark.falsifies("FALSIFY-NO-F32-COPY-004")
@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_the_peak_is_little_more_than_the_file(pv: Recorder, precision: str, tmp_path: Path) -> None:
    """Refuted by a process whose peak, over what it takes with a small model, is above 1.15 files and the KV cache.

    Seen failing under integer_weights_copied and integer_weights_decoded, which the child enters as well.
    """
    engines.ran_on(pv, cpu_integer.ops(precision))
    with mock.patch.dict(synthetic.SHAPES, {"large": SHAPE}):
        small = synthetic.write("tiny", tmp_path / "small.gguf")
        large = synthetic.write("large", tmp_path / "large.gguf")
    names = for_child().get("PV_FALSIFIER_FAULTS", "").split()
    command = [sys.executable, "-c", CHILD, str(small), str(large), precision, *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    size = large.stat().st_size
    assert found["large_weights"] >= 0.9 * size, "the model was not used"
    pv.record("resident with a small model", found["before"], limit=64 * 2**20, unit="B")
    growth = found["peak"] - found["before"] - found["kv"]
    pv.record("growth of the peak over bytes of the file", growth / size, limit=1.15)
