"""How far apart two sides are at one position, in float64.

a, b     logits of the same tokens; c = a - mean(a), d = b - mean(b), since no probability depends on a mean
cosine   c . d / (|c| |d|); 1 where both are 0, 0 where one is
kl       KL(a || b) = sum_i p_i (log p_i - log q_i), p = softmax(a), q = softmax(b), in nats
gap      a[i] - a[j], i the most probable token of a and j that of b, the smallest id of equals: what a loses
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.ops.protocol import F32

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """One position."""

    position: int
    token_a: int
    token_b: int
    gap: float
    """In logits; 0 where both choose the same token."""
    deviations: float
    """The gap in standard deviations of a's logits."""
    cosine: float
    kl: float
    """Nats."""

    @property
    def same(self) -> bool:
        """Whether both choose the same token."""
        return self.token_a == self.token_b


def step(position: int, a: F32, b: F32) -> Step:
    """Compare logits (V,), which are finite."""
    ours, theirs = a.astype(np.float64), b.astype(np.float64)
    token_a, token_b = int(ours.argmax()), int(theirs.argmax())
    gap, spread = float(ours[token_a] - ours[token_b]), float(ours.std())
    return Step(
        position=position,
        token_a=token_a,
        token_b=token_b,
        gap=gap,
        deviations=gap / spread if spread else 0.0,
        cosine=_cosine(ours - ours.mean(), theirs - theirs.mean()),
        kl=_divergence(_log_softmax(ours), _log_softmax(theirs)),
    )


def _cosine(c: F64, d: F64) -> float:
    lengths = float(np.linalg.norm(c)), float(np.linalg.norm(d))
    if not all(lengths):
        return float(lengths[0] == lengths[1])
    # rounding may lead a hair beyond 1
    return float(np.clip((c / lengths[0]) @ (d / lengths[1]), -1, 1))


def _log_softmax(x: F64) -> F64:
    shifted = x - x.max()
    found: F64 = shifted - np.log(np.exp(shifted).sum())
    return found


def _divergence(log_p: F64, log_q: F64) -> float:
    # rounding may lead a hair below 0
    return max(0.0, float(np.exp(log_p) @ (log_p - log_q)))
