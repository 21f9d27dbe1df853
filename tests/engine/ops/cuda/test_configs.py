"""The committed table: which GPU takes which entry, and that every shape of the models has one."""

from __future__ import annotations

import pytest

from engine import synthetic
from engine.gguf.types import GgmlType
from engine.ops.cuda import configs, gate, target
from engine.ops.cuda.compiled import SHARED_LIMIT


@pytest.mark.parametrize(
    ("sm", "name"),
    [(80, "sm_80: A100"), (90, "sm_90: H100, H200"), (86, "default"), (89, "default"), (120, "default")],
)
def test_every_gpu_has_a_named_entry(sm: int, name: str) -> None:
    with target.compiling_for(sm):
        assert configs.table().name == name


@pytest.mark.parametrize("sm", [80, 90])
def test_shapes_are_those_of_the_models_that_the_gate_compiles(sm: int) -> None:
    """Both ways: no shape of a model without an entry, no entry that is not compiled."""
    models = (gate.QWEN_7B, gate.QWEN_1_5B, gate.QWEN_0_5B)
    assert set(configs.TABLES[sm].splits) == {shape for model in models for shape in model.matrices()}


def test_sizes_are_those_of_the_model_files() -> None:
    for shapes in (gate.QWEN_7B, gate.QWEN_1_5B, gate.QWEN_0_5B):
        written = synthetic.SHAPES[shapes.name]
        for field in ("hidden_size", "intermediate_size", "num_heads", "num_kv_heads", "vocab_size"):
            assert getattr(shapes, field) == getattr(written, field), (shapes.name, field)
        assert shapes.head_dim * shapes.num_heads == shapes.hidden_size


def test_an_unknown_shape_is_split_by_its_rows() -> None:
    with target.compiling_for(90):
        assert configs.splits((4608, 3584), 7) == 4
        assert configs.splits((4609, 3584), 8) == 4
        assert configs.splits((8193, 3584), 8) == 1
        assert configs.splits((4609, 3584), 1) == 1


def test_the_default_fits_the_smallest_gpu() -> None:
    """Prefill of both K-quants and of attention, which have the largest tiles, within 99 KiB of shared memory."""
    found = gate.compile_products(gate.TEACHER, (GgmlType.Q4_K, GgmlType.Q6_K), (40,), 89)
    found += gate.compile_layers(gate.TEACHER, 89, tokens=(40,))
    assert {"q4_k_matmul", "q6_k_matmul", "attention_prefill"} <= {entry.machine.name for entry in found}
    assert max(entry.machine.shared_bytes for entry in found) <= SHARED_LIMIT[89]
    assert max(entry.machine.stack_bytes for entry in found) == 0
