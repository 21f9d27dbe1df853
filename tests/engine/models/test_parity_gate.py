"""The gate's limits: what rounding costs is measured here against float64, and a wrong model is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine import quant
from engine.errors import BackendError
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.llm import GATE_PROMPT, Llm
from engine.models import load_model, parity_gate
from engine.models.parity_gate import Limits, Step
from engine.ops import reference, rounded
from engine.ops.rounded import Rounded
from support import tiny_qwen2

OUTLIER = 26
"""Times the other channels, as in the models that 8-bit activations are known to hurt."""


def random_model(path: Path, *, layers: int, outlier: bool, seed: int) -> Path:
    """Q8_0 matrices; with an outlier one channel of every norm is larger, and nothing makes up for it."""
    shape = tiny_qwen2.Shape(hidden=256, layers=layers, ffn=512, context=64)
    tensors = tiny_qwen2.random_tensors(shape, seed)
    channel = int(np.random.default_rng(seed).integers(256))
    for name in tensors:
        if outlier and name.endswith("norm.weight") and name.startswith("blk"):
            tensors[name][channel] *= OUTLIER
    return tiny_qwen2.write_gguf(
        path,
        tensors,
        tiny_qwen2.metadata(shape),
        type_of=lambda name: GgmlType.F32 if name.endswith(("norm.weight", ".bias")) else GgmlType.Q8_0,
    )


def float64_ops() -> Any:
    """`ops.reference` with products, norms and SwiGLU in float64: sums in another precision, the same formulas."""
    decoded: dict[int, Any] = {}

    def matmul(x: Any, weight: Any) -> Any:
        if id(weight) not in decoded:
            decoded[id(weight)] = weight, quant.decode(weight.type, weight.data).astype(np.float64)
        return x.astype(np.float64) @ decoded[id(weight)][1].T

    return SimpleNamespace(
        name="float64",
        precision="float64",
        embedding=reference.embedding,
        matmul=matmul,
        add_bias=lambda x, bias: x + bias,
        add=lambda x, y: x + y,
        rms_norm=lambda x, weight, *, eps: x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight,
        rope=reference.rope,
        attention=reference.attention,
        swiglu=lambda gate, up: gate / (1 + np.exp(-gate)) * up,
    )


def costs(file: Any, prompt: Sequence[int]) -> tuple[list[Step], list[Step], list[Step]]:
    """Against float64: float64 with the roundings of q8, float32 with them, and float32 without."""
    model = load_model(file, float64_ops())
    ours, ids = parity_gate._greedy(model, prompt, parity_gate.STEPS)
    found = []
    for ops in (Rounded(model.ops, "q8"), Rounded(reference, "q8"), reference):  # type: ignore[arg-type]
        with mock.patch.object(model, "ops", ops):
            theirs = parity_gate._forced(model, ids)
        found.append([parity_gate._step(a, b) for a, b in zip(theirs, ours, strict=True)])
    return found[0], found[1], found[2]


def worst(steps: Sequence[Step]) -> float:
    return max(step.error for step in steps)


@pytest.mark.parametrize(("layers", "outlier"), [(2, False), (2, True), (8, True)], ids=["plain", "outlier", "deep"])
def test_the_slack_is_twice_what_sound_arithmetic_needs(tmp_path: Path, layers: int, outlier: bool) -> None:
    """Two sums of one model with one rounding: SLACK / 2 = 1.5 holds in these, 1.6 was the most of 30 models."""
    with open_gguf(random_model(tmp_path / "m.gguf", layers=layers, outlier=outlier, seed=1)) as file:
        rounding, device, plain = costs(file, list(range(40, 60)))
    limits = Limits.of(rounding)
    assert all(limits.allow(step) for step in device)
    assert worst(device) <= parity_gate.SLACK / 2 * worst(rounding)
    assert max(step.lost for step in device) <= parity_gate.NEAR_TIE / 2 * worst(rounding)
    assert 1e-3 < worst(rounding) < parity_gate.CEILING / parity_gate.SLACK * 1.5
    assert worst(plain) <= parity_gate.FLOOR / 2, "float32 sums alone stay below the floor"


def test_the_limits_of_the_teacher_are_tight() -> None:
    """8 bits cost it at most 1.4 %, measured over 178 positions; the gate allows no more than three times that."""
    with Llm.load(backend="reference") as llm:
        rounding, device, plain = costs(llm.file, llm.prompt_ids(GATE_PROMPT))
    limits = Limits.of(rounding)
    assert all(limits.allow(step) for step in device)
    assert limits.error <= 3 * 0.014
    assert worst(plain) <= parity_gate.FLOOR / 2


class Spoiled:
    """A device whose logits are not those of the CPU."""

    def __init__(self, oracle: Any, spoil: Callable[[Any], Any]) -> None:
        self.ops, self._oracle, self._spoil = reference, oracle, spoil
        self.new_cache = oracle.new_cache

    def forward(self, *arguments: Any, **options: Any) -> Any:
        return self._spoil(self._oracle.forward(*arguments, **options))


def one_row_wrong(logits: Any) -> Any:
    """As if one tile of the output were lost: hardly any error, and another token."""
    logits = logits.copy()
    logits[:, 7] = logits.max() + logits.std()
    return logits


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = random_model(tmp_path_factory.mktemp("gate") / "m.gguf", layers=2, outlier=True, seed=0)
    return load_model(open_gguf(path), reference)


IDS = [3, 141, 59, 26, 5, 35, 89, 79, 32, 12]


@pytest.mark.parametrize("precision", ["q8", "f32"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda logits: -logits,
            r"fails at decode step 0: its logits are 2\.00000 off \(cosine -1\.000000\), expected",
        ),
        (lambda logits: logits * np.nan, r"its logits are nan off"),
        (lambda logits: logits * 0, r"its logits are 1\.00000 off \(cosine nan\)"),
        (lambda logits: np.roll(logits, 1), r"expected at most 0\.\d+; its token costs"),
        (one_row_wrong, r"its token costs \d\.\d+ deviations, expected at most 0\.\d+; use cpu, and report"),
    ],
    ids=["negated", "not finite", "zero", "shifted", "one row"],
)
def test_the_gate_refuses_with_numbers(oracle: Any, precision: str, spoil: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        parity_gate.require(Spoiled(oracle, spoil), oracle, IDS, steps=1, precision=precision)  # type: ignore[arg-type]
    assert oracle.ops is reference


@pytest.mark.parametrize("precision", ["q8", "f32"])
def test_a_constant_changes_no_probability_and_is_let_through(oracle: Any, precision: str) -> None:
    sound = Spoiled(oracle, lambda logits: logits + 1000)
    found = parity_gate.require(sound, oracle, IDS, steps=2, precision=precision)  # type: ignore[arg-type]
    assert len(found) == 3


def test_another_token_at_a_near_tie_is_let_through() -> None:
    """By hand: the CPU gives both tokens almost the same logit, the GPU the other order."""
    ours = np.array([5.0, 4.999, 0.0, -5.0])
    limits = Limits(error=0.05, lost=0.05)
    step = parity_gate._step(np.array([4.999, 5.0, 0.0, -5.0]), ours)
    assert 0 < step.lost < 0.001
    assert limits.allow(step)
    assert not limits.allow(parity_gate._step(np.array([4.0, 5.0, 0.0, -5.0]), np.array([5.0, 4.0, 0.0, -5.0])))


def test_limits_have_a_floor_and_a_ceiling() -> None:
    """By hand: three times 0.01 and five times; nothing rounds; rounding costs more than a wrong kernel would."""
    assert Limits.of([Step(1, 0.01, 0), Step(1, 0.004, 0)]) == Limits(0.03, 0.05)
    assert Limits.of([Step(1, 0, 0)]) == Limits(3 * parity_gate.FLOOR, 5 * parity_gate.FLOOR)
    assert Limits.of([Step(1, 0.3, 0)]) == Limits(0.5, 1.5)


def test_rounding_is_that_of_the_formats() -> None:
    """By hand: 127 steps to the largest of each 32; a row of float16 times its largest; neither touches 0."""
    x = np.zeros((1, 64), np.float32)
    x[0, :3] = 127, 0.4, -0.6
    x[0, 32:34] = 1, 1 / 254
    assert rounded.in_8_bits(x)[0, [0, 1, 2, 3]].tolist() == [127, 0, -1, 0]
    np.testing.assert_allclose(rounded.in_8_bits(x)[0, 32:34], [1, 0], atol=1e-7)
    y = np.array([[1e30, 1e30 / 3, 0]], np.float32)
    np.testing.assert_allclose(rounded.in_float16(y)[0], [1e30, 1e30 / 3, 0], rtol=2**-11)
    assert not np.array_equal(rounded.in_float16(y), y)
