"""The gate that a model on a GPU passes before it may answer: several decode steps beside the CPU, on a real prompt.

Both are fed the same tokens, those that the CPU chooses. At every step the GPU's logits may differ from the CPU's only
by a small multiple of what its precision costs by itself, and so may the choice of another token: a near tie.

What a precision costs depends on the model. 8-bit activations move the logits by 0.4 to 1.4 % of their spread in the
bundled model, and by up to 29 % in random models of 2 to 24 layers with a channel 26 times the others; a fixed limit
would let wrong kernels pass in the one or refuse sound ones in the other. So it is measured at each load: the CPU runs
the same tokens once more with the roundings of the GPU (`engine.ops.rounded`). In 30 such models float32 sums with
these roundings were at most 1.6 times as far from float64 as float64 sums with them, over 5 positions each; another
token, where one was chosen, cost at most 1.1 times that in deviations. `tests/engine/models/test_parity_gate.py`
measures this again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np

from engine.errors import BackendError
from engine.models.protocol import Model
from engine.ops.protocol import Ops
from engine.ops.rounded import Rounded

STEPS = 4
SLACK = 3.0
"""Errors allowed for each error that the rounding costs by itself: twice the largest ratio measured, 1.6."""
NEAR_TIE = 5.0
"""Deviations that another token may cost, for each error that the rounding costs: five times what was measured."""
FLOOR = 1e-4
"""Of the error: float32 sums in another order, through the layers of a model, where nothing else is rounded."""
CEILING = 0.5
"""Of the error: wrong kernels give logits that have nothing in common with the right ones, an error of 1.4."""


@dataclass(frozen=True, slots=True)
class Step:
    """One position; logits are taken about their mean, which no probability depends on."""

    cosine: float
    error: float
    """Length of the difference over the length of the CPU's logits."""
    lost: float
    """What the CPU's logits lose if its token is replaced by the GPU's, in their standard deviations; 0 if the same."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step may show."""

    error: float
    lost: float

    @classmethod
    def of(cls, rounding: Sequence[Step]) -> Limits:
        """From what the rounding alone costs at each step."""
        cost = max(FLOOR, *(step.error for step in rounding))
        return cls(min(SLACK * cost, CEILING), NEAR_TIE * cost)

    def allow(self, step: Step) -> bool:
        """Whether the step is within both; NaN is not."""
        return step.error <= self.error and step.lost <= self.lost


def compare(candidate: Model, oracle: Model, prompt_ids: Sequence[int], *, steps: int = STEPS) -> list[Step]:
    """The prompt and then `steps` single tokens through both models; one `Step` for each, the prompt's end first."""
    ours, ids = _greedy(oracle, prompt_ids, steps)
    return [_step(theirs, logits) for theirs, logits in zip(_forced(candidate, ids), ours, strict=True)]


def require(
    candidate: Model, oracle: Model, prompt_ids: Sequence[int], *, steps: int = STEPS, precision: str = "q8"
) -> list[Step]:
    """`compare`, and refuse the candidate if a step is beyond the `Limits` of this model and prompt.

    Args:
        oracle: runs in float32; its operations are replaced for a moment.
        precision: of the candidate, see `engine.ops.rounded`.

    Raises:
        BackendError: with the position and the numbers of the first step that does not pass.
    """
    ours, ids = _greedy(oracle, prompt_ids, steps)
    with _rounded(oracle, precision):
        limits = Limits.of([_step(rounded, logits) for rounded, logits in zip(_forced(oracle, ids), ours, strict=True)])
    found = [_step(theirs, logits) for theirs, logits in zip(_forced(candidate, ids), ours, strict=True)]
    for number, step in enumerate(found):
        if not limits.allow(step):
            raise BackendError(
                f"backend {candidate.ops.name!r}: parity with the CPU fails at decode step {number}: its logits are "
                f"{step.error:.5f} off (cosine {step.cosine:.6f}), expected at most {limits.error:.5f}; its token "
                f"costs {step.lost:.5f} deviations, expected at most {limits.lost:.5f}; use cpu, and report this "
                "model and device"
            )
    return found


Ids = list[Sequence[int]]
Logits = list[np.ndarray]


def _greedy(model: Model, prompt_ids: Sequence[int], steps: int) -> tuple[Logits, Ids]:
    """Logits (V,) after the prompt and each further token, and the tokens of each forward."""
    cache = model.new_cache(len(prompt_ids) + steps)
    ids: Ids = [list(prompt_ids)]
    found: Logits = []
    for _ in range(steps + 1):
        found.append(model.forward(ids[-1], cache, last_only=True)[-1].astype(np.float64))
        ids.append([int(found[-1].argmax())])
    return found, ids[:-1]


def _forced(model: Model, ids: Ids) -> Logits:
    cache = model.new_cache(sum(map(len, ids)))
    return [model.forward(part, cache, last_only=True)[-1].astype(np.float64) for part in ids]


@contextmanager
def _rounded(model: Model, precision: str) -> Iterator[None]:
    before = model.ops
    model.ops = cast("Ops", Rounded(before, precision))
    try:
        yield
    finally:
        model.ops = before


def _step(theirs: np.ndarray, ours: np.ndarray) -> Step:
    a, b = theirs - theirs.mean(), ours - ours.mean()
    length, spread = float(np.linalg.norm(b)), float(np.std(ours))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = float(np.divide(a @ b, np.linalg.norm(a) * length))
        error = float(np.divide(np.linalg.norm(a - b), length))
        lost = float(np.divide(ours.max() - ours[int(theirs.argmax())], spread))
    return Step(cosine, error, lost)
