"""float64 and the witnesses compute what the reference defines, on every architecture's own forward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.bisect.bisection import FP64
from engine.bisect.double import Double, OneForward, decoded
from engine.bisect.places import Listening, Place, plan_of, with_ops
from engine.bisect.witness import Precision
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.models import load_model
from engine.ops import load_ops, reference
from engine.ops.protocol import Weight
from engine.ops.rotary import Rotary
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

ROOT = Path(__file__).resolve().parents[3]
FILES = ("llama", "qwen3", "qwen3_yarn", "mistral", "grouped", "tied")
IDS = [3, 1, 4, 1, 5, 9, 2, 6]


def model_of(name: str) -> Any:
    return load_model(open_gguf(ROOT / "falsifiers" / "data" / f"{name}.gguf"), load_ops("reference"))


@pytest.mark.parametrize("name", FILES)
def test_float64_is_the_reference_arithmetic_on_every_architecture(name: str):
    """Beside the float32 reference: sums of some hundred terms through few layers, 1e-4 of the logits' size."""
    model = model_of(name)
    single = model.forward(IDS, model.new_cache())
    double = with_ops(model, Double(), lambda: model.forward(IDS, OneForward.of(model)))
    assert double.dtype == np.float64
    assert np.abs(single - double).max() < 1e-4 * np.abs(double).max()
    assert model.ops is reference


@pytest.mark.parametrize(
    "precision", [("cpu", "f32", "f32"), ("cpu", "f32", "f16"), ("cpu", "q16", "f32"), ("cuda", "q8", "f16")]
)
@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_every_witness_is_right_to_its_precision(name: str, precision: tuple[str, str, str]):
    """f32 to 1e-4 of the logits; float16 keys to 1e-2; weights of these files are float32, which nothing rounds."""
    model = model_of(name)
    right = with_ops(model, Double(), lambda: model.forward(IDS, OneForward.of(model)))
    limit = 1e-4 if precision[2] == "f32" else 1e-2
    for witness in Precision(*precision).witnesses():
        found = with_ops(model, witness, lambda witness=witness: model.forward(IDS, OneForward.of(model)))  # noqa: ARG005
        assert found.dtype == np.float32
        assert 0 < np.abs(found - right).max() < limit * np.abs(right).max()


def test_witnesses_of_eight_bits_round_as_the_cpu_does():
    """A block's step is max / 127: 100.3 of a block whose largest is 127 becomes 100."""
    x = np.zeros((1, 256), np.float32)
    x[0, :3] = 127.0, 100.3, -0.4
    weight = Weight("eye", GgmlType.Q8_0, (1, 256), np.zeros((1, 272), np.uint8))
    rounded = Precision("cpu", "q8", "f16").witnesses()[0]._rounding(x, weight)
    assert rounded[0, :3].tolist() == [127.0, 100.0, 0.0]


def test_rope_turns_by_the_angle_by_hand():
    """One pair (1, 0) at position 1 with theta 1: (cos 1, sin 1), in halves and in neighbours."""
    x = np.array([[[1.0, 0.0]]])
    for rotary in (Rotary(), Rotary(adjacent=True), Rotary(magnitude=2.0)):
        found = Double().rope(x, np.array([1]), theta=10.0, rotary=rotary)
        assert found[0, 0] == pytest.approx(rotary.magnitude * np.array([np.cos(1), np.sin(1)]), abs=1e-15)


def test_a_codec_replaced_meanwhile_is_used_at_once(monkeypatch: pytest.MonkeyPatch):
    """The last matrix is kept decoded; a seeded fault in the codec must not meet it."""
    from engine import quant

    weight = Weight("w", GgmlType.F32, (2, 2), np.ones((2, 2), np.float32).view(np.uint8))
    assert [values.sum() for _, values in decoded(weight)] == [4.0]
    monkeypatch.setattr(quant, "decode", lambda *_: np.zeros((2, 2), np.float32))
    assert [values.sum() for _, values in decoded(weight)] == [0.0]


def test_every_place_is_made_by_the_operation_that_its_name_says():
    places = {step.place: step.operation for step in plan_of(model_of("qwen3")).steps}
    assert places[Place(0, "q_norm")] == "rms_norm"
    assert places[Place(1, "attn_out")] == "attention"
    assert places[Place(0, "swiglu")] == "swiglu"
    assert places[Place(None, "logits")] == "matmul"
    assert Place(0, "q_bias") not in places, "qwen3 has no biases: an echo has no operation"


def test_places_are_all_taps_in_the_order_of_computation():
    plan = plan_of(model_of("grouped"))
    assert len(plan.places) == len(set(plan.places)) == 20 * 3 + 3
    order = [
        plan.places.index(Place(1, name)) for name in ("attn_norm", "q", "q_bias", "q_rope", "attn_out", "residual")
    ]
    assert order == sorted(order)
    assert (plan.places[0], plan.places[-1]) == (Place(None, "embedding"), Place(None, "logits"))


def test_fused_steps_fall_back_to_the_eight_operations():
    listening = Listening(load_ops("reference"), lambda _, run, args, how: run(*args, **how))
    assert not hasattr(listening, "multiply_all")
    assert listening.precision == "float32"


def test_a_product_before_its_bias_is_judged_with_it(tmp_path: Path):
    """llama with biases of o and the FFN: no tap sees the product, so error and floor are of both steps together."""
    from support import bisected

    shape = Shape()
    tensors = tiny_qwen2.random_tensors(shape)
    for layer in range(shape.layers):
        for name, size in (("attn_output", shape.hidden), ("ffn_gate", shape.ffn), ("ffn_up", shape.ffn)):
            tensors[f"blk.{layer}.{name}.bias"] = np.linspace(-1, 1, size, dtype=np.float32)
    path = tiny_qwen2.write_gguf(tmp_path / "biased.gguf", tensors, tiny_qwen2.metadata(shape))
    session = bisected.recorded(tmp_path, path)
    judgement = bisected.bisection(session, path).judgement(golden=FP64)
    assert judgement.verdict == "both are within the floor"
    own = {cell.place: cell.b for cell in judgement.cells}
    assert own[Place(0, "attn_proj")] is not None
    assert max(excess.times for excess in own.values() if excess is not None) > 0
