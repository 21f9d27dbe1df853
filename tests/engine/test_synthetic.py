"""Synthetic models have the shapes and types of the published files, which the sizes of those files confirm."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import synthetic
from engine.errors import ModelError
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.models import load_model
from engine.ops import load_ops
from engine.quant.scales import check_scales

SIZES_MB = {"qwen2.5-0.5b": 396, "qwen2.5-1.5b": 984, "qwen2.5-7b": 4681}
"""Of the Q4_K_M files of these models, less 2 MB: their tokens are longer."""


@pytest.mark.parametrize("name", SIZES_MB)
def test_file_is_as_large_as_the_published_one_and_loads(name: str, tmp_path: Path) -> None:
    path = synthetic.write(name, tmp_path / "m.gguf", sparse=True)
    assert round(path.stat().st_size / 1e6) == SIZES_MB[name]
    with open_gguf(path, strict=True) as file:
        model = load_model(file, load_ops("reference"))
        assert model.unused_tensors == ()
        assert (model.config.num_layers, model.config.vocab_size) == (
            synthetic.SHAPES[name].num_layers,
            synthetic.SHAPES[name].vocab_size,
        )


def test_types_are_those_of_q4_k_m(tmp_path: Path) -> None:
    """attn_v of a 7B Q4_K_M file is Q6_K in layers 0-2, 5, 8, ..., 23 and 24-27, by llama.cpp's rule worked by hand."""
    path = synthetic.write("qwen2.5-7b", tmp_path / "m.gguf", sparse=True)
    with open_gguf(path) as file:
        better = [n for n in range(28) if file.tensors[f"blk.{n}.attn_v.weight"].type is GgmlType.Q6_K]
        assert better == [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]
        assert file.tensors["output.weight"].type is GgmlType.Q6_K
    path = synthetic.write("qwen2.5-0.5b", tmp_path / "m.gguf", sparse=True)
    with open_gguf(path) as file:
        assert file.tensors["token_embd.weight"].type is GgmlType.Q8_0
        assert file.tensors["blk.3.ffn_up.weight"].type is GgmlType.Q5_0
        assert file.tensors["blk.3.ffn_down.weight"].type is GgmlType.Q4_K


def test_weights_are_valid_and_of_the_size_that_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(synthetic.SHAPES, "small", synthetic.Shape(256, 512, 2, 4, 2, 300, True))
    path = synthetic.write("small", tmp_path / "m.gguf")
    with open_gguf(path, strict=True) as file:
        check_scales(file)
        model = load_model(file, load_ops("reference"))
        logits = model.forward([1, 2, 3], model.new_cache())
        assert 0.1 < float(logits.std()) < 10


def test_opening_4680_mb_takes_under_a_second_and_200_mb(tmp_path: Path) -> None:
    """The time of the second start, when Python's own files are read; the file is sparse, and only its header read."""
    path = synthetic.write("qwen2.5-7b", tmp_path / "m.gguf", sparse=True)
    program = (
        "import sys, time; start = time.perf_counter(); from engine.gguf.reader import open_gguf; "
        "file = open_gguf(sys.argv[1]); tokens = len(file.metadata['tokenizer.ggml.tokens']); "
        "elapsed = time.perf_counter() - start; status = open('/proc/self/status').read(); "
        "print(tokens, elapsed, status.split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", program, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    whole = time.perf_counter() - start
    tokens, elapsed, peak_kb = done.stdout.split()
    assert int(tokens) == 152_064
    assert float(elapsed) < 1.0, f"{elapsed} s to import and open, {whole:.2f} s for the process"
    assert int(peak_kb) < 200_000


def test_unknown_name_and_no_half_written_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^synthetic model 'gpt-5' is not known; known are qwen2.5-0.5b, "):
        synthetic.write("gpt-5", tmp_path / "m.gguf")
    assert list(tmp_path.iterdir()) == []
