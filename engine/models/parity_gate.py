"""The gate that a model on a GPU passes before it may answer: several decode steps beside the CPU, on a real prompt.

Both are fed the same tokens, those that the CPU chooses. At every step the logits must point the same way and name the
same token; another token is accepted only if the CPU itself gives it nearly the same logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import BackendError
from engine.models.protocol import Model

STEPS = 4
MIN_COSINE = 0.998
"""8-bit activations cost about 0.5 % of each product (relative L2); their walk through a model's layers costs this."""
NEAR_TIE = 0.1
"""Deviations of the logits: two tokens closer than that may change places under the same error."""


@dataclass(frozen=True, slots=True)
class Step:
    """One position."""

    cosine: float
    lost: float
    """What the CPU's logits lose if its token is replaced by the GPU's, in their standard deviations; 0 if the same."""

    @property
    def passes(self) -> bool:
        # written so that NaN does not pass
        return self.cosine >= MIN_COSINE and self.lost <= NEAR_TIE


def compare(candidate: Model, oracle: Model, prompt_ids: Sequence[int], *, steps: int = STEPS) -> list[Step]:
    """The prompt and then `steps` single tokens through both models; one `Step` for each, the prompt's end first."""
    positions = len(prompt_ids) + steps
    caches = [model.new_cache(positions) for model in (candidate, oracle)]
    ids: Sequence[int] = list(prompt_ids)
    found = []
    for _ in range(steps + 1):
        theirs, ours = (
            model.forward(ids, cache, last_only=True)[-1].astype(np.float64)
            for model, cache in zip((candidate, oracle), caches, strict=True)
        )
        found.append(_step(theirs, ours))
        ids = [int(ours.argmax())]
    return found


def require(candidate: Model, oracle: Model, prompt_ids: Sequence[int], *, steps: int = STEPS) -> list[Step]:
    """`compare`, and refuse the candidate if a step does not pass.

    Raises:
        BackendError: with the position and the numbers of the first step that does not pass.
    """
    found = compare(candidate, oracle, prompt_ids, steps=steps)
    for number, step in enumerate(found):
        if not step.passes:
            raise BackendError(
                f"backend {candidate.ops.name!r}: parity with the CPU fails at decode step {number}: cosine of "
                f"the logits {step.cosine:.6f}, expected at least {MIN_COSINE}; its token costs {step.lost:.3f} "
                f"deviations, expected at most {NEAR_TIE}; use cpu, and report this model and device"
            )
    return found


def _step(theirs: np.ndarray, ours: np.ndarray) -> Step:
    length = float(np.linalg.norm(theirs) * np.linalg.norm(ours))
    cosine = float(theirs @ ours) / length if length else float("nan")
    spread = float(np.std(ours))
    lost = float(ours.max() - ours[int(theirs.argmax())])
    return Step(cosine, lost / spread if spread else float("nan"))
