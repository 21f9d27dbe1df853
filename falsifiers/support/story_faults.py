"""The mistakes of the story of README, planted again: each of them once passed for a finding.

Each is a context manager without arguments that replaces one function of the engine, or of what measures it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

Seeded = AbstractContextManager[Any]


def gate_is_not_asked() -> Seeded:
    """Loading on a device goes on without a comparison."""
    from engine.models import parity_gate

    def unasked(*_: Any, **__: Any) -> list[Any]:
        return []

    return mock.patch.object(parity_gate, "require", unasked)


def gate_probes_one_token() -> Seeded:
    """The gate looks at the first token of the answer and at no decode step."""
    from engine.models import parity_gate

    original = parity_gate.require

    def probe(*arguments: Any, **options: Any) -> Any:
        return original(*arguments, **{**options, "steps": 0})

    return mock.patch.object(parity_gate, "require", probe)


def gate_asks_for_the_bits() -> Seeded:
    """The gate allows no error, although the precision of the device rounds."""
    return _limits(error=0.0)


def gate_rejects_near_ties() -> Seeded:
    """The gate asks for the same token, however close the two are."""
    return _limits(lost=0.0)


def _limits(**changed: float) -> Seeded:
    from engine.models.parity_gate import Limits

    original = Limits.of

    def strict(rounding: Sequence[Any]) -> Limits:
        return replace(original(rounding), **changed)

    return mock.patch.object(Limits, "of", strict)


def every_step_runs_the_prompt() -> Seeded:
    """A decode step runs all earlier tokens once more before its own: the right token, at the wrong price."""
    from engine.models.decoder import Decoder

    original = Decoder.forward

    def again(self: Decoder, token_ids: Any, kv_cache: Any, **options: Any) -> Any:
        if kv_cache.length:
            original(self, [0] * kv_cache.length, self.new_cache(kv_cache.length), last_only=True)
        return original(self, token_ids, kv_cache, **options)

    return mock.patch.object(Decoder, "forward", again)


def swiglu_seen_for_the_last_token_only() -> Seeded:
    """The second side shows its last token, after the first one has shown a whole prompt."""
    from engine import trace

    original, sides = trace.Recorder.tokens, list[Any]()

    def tokens(self: Any, name: str, layer: int | None = None) -> Any:
        if not any(self is side for side in sides):
            sides.append(self)
        shown = original(self, name, layer)
        return shown[-1:] if name == "swiglu" and self is not sides[0] else shown

    return mock.patch.object(trace.Recorder, "tokens", tokens)


def swiglu_of_other_tokens() -> Seeded:
    """Both sides show equally many values, and the second one's are of another prompt."""
    from falsifiers.support import swiglu_band

    original, sides = swiglu_band.spread, itertools.count()

    def other(model: Any, token_ids: Sequence[int]) -> Any:
        return original(model, token_ids if next(sides) == 0 else [token_ids[0]] * len(token_ids))

    return mock.patch.object(swiglu_band, "spread", other)


@contextmanager
def cpu_leaves_out_the_sigmoid() -> Iterator[None]:
    """The CPU alone multiplies gate and up, in every precision."""
    from engine.ops import cpu
    from engine.ops.cpu.integer import IntegerOps

    def product(*arrays: Any) -> Any:
        return arrays[-2] * arrays[-1]

    with mock.patch.object(cpu, "swiglu", product), mock.patch.object(IntegerOps, "swiglu", product):
        yield


@contextmanager
def bias_after_rope() -> Iterator[None]:
    """Q and K turn before their biases are added, so that the biases do not turn with them."""
    from engine.models.decoder import Decoder
    from engine.ops import fused

    original, late = fused.rope_append, list[Any]()

    def unbiased(_: Decoder, x: Any, linear: Any) -> Any:
        late.append(linear.bias)
        return x

    def turned(ops: Any, q: Any, k: Any, v: Any, *rest: Any, **options: Any) -> Any:
        biases = [bias.reshape(1, *x.shape[1:]) for x, bias in zip((q, k, v), late[-3:], strict=True)]
        q, k = original(ops, q, k, v + biases[2], *rest, **options)
        return q + biases[0], k + biases[1]

    with mock.patch.object(Decoder, "_biased", unbiased), mock.patch.object(fused, "rope_append", turned):
        yield


@contextmanager
def qkv_fused_in_the_type_of_q() -> Iterator[None]:
    """Q, K and V become one matrix for one launch, so K and V are written again in the type of Q."""
    from engine import quant
    from engine.ops import fused

    def again(weight: Any, kind: Any) -> Any:
        if weight.type == kind:
            return weight
        return replace(weight, type=kind, data=quant.encode(kind, quant.decode(weight.type, weight.data)))

    def multiply_all(ops: Any, x: Any, weights: Sequence[Any]) -> Any:
        return tuple(ops.matmul(x, again(weight, weights[0].type)) for weight in weights)

    with mock.patch.object(fused, "multiply_all", multiply_all):
        yield


def qkv_split_at_the_wrong_rows() -> Seeded:
    """One product for Q, K and V is cut as if all three had as many rows."""
    from engine.ops import fused

    original = fused.multiply_all

    def multiply_all(ops: Any, x: Any, weights: Sequence[Any]) -> Any:
        whole = np.concatenate(original(ops, x, weights), axis=1)
        ends = np.cumsum([weight.shape[0] for weight in weights])
        even = whole.shape[1] // len(weights)
        starts = (number * even for number in range(len(weights)))
        sizes = np.diff(ends, prepend=0)
        return tuple(np.roll(whole, -start, axis=1)[:, :size] for start, size in zip(starts, sizes, strict=True))

    return mock.patch.object(fused, "multiply_all", multiply_all)


def types_lose_the_order_of_qkv() -> Seeded:
    """The device starts one product for each type, and what comes back has the order of the types."""
    from engine.ops.cuda import resident

    original = resident.multiply_all

    def multiply_all(x: Any, weights: Sequence[Any]) -> Any:
        found = original(x, weights)
        order = sorted(range(len(weights)), key=lambda number: -int(weights[number].type))
        return tuple(found[number] for number in order)

    return mock.patch.object(resident, "multiply_all", multiply_all)


def fallback_without_asking() -> Seeded:
    """Loading falls back to the CPU whether that is allowed or not."""
    return _loading(lambda options: {**options, "allow_fallback": True}, lambda _: None)


def fallback_is_not_told() -> Seeded:
    """After a fallback the record names the CPU as what was asked for."""

    def forget(llm: Any) -> None:
        llm.backend, llm.fallback = llm.ops.name, ""

    return _loading(lambda options: options, forget)


def _loading(asked: Callable[[dict[str, Any]], dict[str, Any]], loaded: Callable[[Any], None]) -> Seeded:
    from engine.llm import Llm

    original = Llm.load.__func__  # type: ignore[attr-defined]

    def load(cls: type[Llm], *arguments: Any, **options: Any) -> Llm:
        llm: Llm = original(cls, *arguments, **asked(options))
        loaded(llm)
        return llm

    return mock.patch.object(Llm, "load", classmethod(load))


def readme_is_silent_about_the_gpu() -> Seeded:
    """README has no line with the word GPU or CUDA."""
    original = Path.read_text

    def silent(self: Path, *arguments: Any, **options: Any) -> str:
        text = original(self, *arguments, **options)
        if self.name != "README.md":
            return text
        return "\n".join(line for line in text.splitlines() if "GPU" not in line and "CUDA" not in line)

    return mock.patch.object(Path, "read_text", silent)


def defect_that_readme_hides() -> Seeded:
    """A refutation on a GPU is known and waived, and README does not mention it."""
    return _known(expires="2027-01-31")


def defect_that_nobody_answers_for() -> Seeded:
    """A refutation on a GPU is known, and no waiver accepts it."""
    return _known(expires="")


def _known(expires: str) -> Seeded:
    from falsifiers.support import ship

    original = ship.known
    defect = ship.Defect("cpu-vs-gpu-output-parity", "FALSIFY-CPU-VS-GPU-003", expires)

    def known(*arguments: Any) -> Any:
        return replace(original(*arguments), defects=(defect,))

    return mock.patch.object(ship, "known", known)


def version_2_without_cuda() -> Seeded:
    """The package is version 2 although nothing was shown on CUDA."""
    from falsifiers.support import ship

    original = ship.misstatements

    def misstatements(readme: str, _: str, said: Any) -> list[str]:
        return original(readme, "2.0.0", said)

    return mock.patch.object(ship, "misstatements", misstatements)


def one_scale_for_a_row_of_activations() -> Seeded:
    """8-bit activations share a scale over their whole row: one outlier channel leaves the others a few steps."""
    from engine.ops.cpu import activations

    original = activations.quantise

    def coarse(runner: Any, x: Any, planes: int, block: int, values: Any, scales: Any) -> None:
        original(runner, x, planes, block, values, scales)
        if planes == 1:
            step = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
            values.reshape(x.shape)[...] = np.rint(x / np.maximum(step, np.float32(1e-30)))
            scales.reshape(len(x), -1)[...] = step

    return mock.patch.object(activations, "quantise", coarse)


def device_leaves_out_the_sigmoid() -> Seeded:
    """The device alone multiplies gate and up, in prompts of more than 8 tokens."""
    from engine.ops.cuda import fused

    return mock.patch.object(fused, "swiglu", lambda gate, up: gate * up)
