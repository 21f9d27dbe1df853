"""Do two sides agree? From what was measured alone, against limits that are stated.

differ         another token at more than a near tie, a cosine below its limit, the mean KL surely above its limit,
               or b's logits are not finite
cannot decide  no samples, one sample, a's logits are not finite, or the mean KL's interval holds its limit
agree          else
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.parity import estimate
from engine.parity.measure import Step

Answer = Literal["agree", "differ", "cannot decide"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What two sides that agree may show."""

    near_tie: float
    """Standard deviations of a's logits that another token may cost."""
    cosine: float
    """At least, at every step."""
    kl: float
    """Of the mean, in nats."""


EXACT = Limits(near_tie=5e-4, cosine=1 - 1e-6, kl=1e-6)
"""Two float32 sides. Sums in another order move logits by up to 1e-4 of their spread, and three times that is allowed
(`engine.models.parity_gate`): with a spread of 5 logits KL is about (3e-4 * 5)^2 / 2 = 1.1e-6 at most, the cosine 5e-8
below 1; another token costs up to five times the movement. 16-bit activations move logits by less than that."""

ROUNDED = Limits(near_tie=0.07, cosine=0.99, kl=1e-2)
"""A side rounds activations to 8 bits, or keys and values to float16. 8 bits move the logits of the bundled model by up
to 1.4 % of their spread: another token may cost five times that. A KL of 0.01 nats is what a careful quantisation of
weights costs; a cosine of 0.99 is an error of 14 %, ten times what was measured."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, why, and the figures that it rests on."""

    answer: Answer
    reasons: tuple[str, ...]
    samples: int
    same: int
    near_ties: int
    flips: int
    """Other tokens at more than a near tie."""
    kl: estimate.Mean | None
    least_cosine: float | None


def judge(prompts: Sequence[Sequence[Step]], limits: Limits, *, broken: Sequence[str] = ()) -> Verdict:
    """Judge the steps of each prompt.

    Args:
        broken: sides, 'a' or 'b', whose logits were not finite; nothing was measured from there on.
    """
    steps = [step for prompt in prompts for step in prompt]
    others = [step for step in steps if not step.same]
    flips = [step for step in others if not step.deviations <= limits.near_tie]
    kl = estimate.mean([[step.kl for step in prompt] for prompt in prompts])
    least = min((step.cosine for step in steps), default=None, key=lambda cosine: cosine if cosine >= -1 else -2.0)
    against, unknown = _doubts(len(steps), kl, limits, broken)
    if least is not None and not least >= limits.cosine:
        against.insert(0, f"cosine {least:.7f}, at least {limits.cosine:.7g} expected")
    if flips:
        worst = max(flips, key=lambda step: step.deviations)
        against.insert(
            0,
            f"another token at {len(flips)} of {len(steps)} steps; the worst costs {worst.gap:.4g} logits = "
            f"{worst.deviations:.4g} deviations, a near tie at most {limits.near_tie:g}",
        )
    answer: Answer = "differ" if against else "cannot decide" if unknown else "agree"
    return Verdict(
        answer=answer,
        reasons=tuple(against or unknown),
        samples=len(steps),
        same=len(steps) - len(others),
        near_ties=len(others) - len(flips),
        flips=len(flips),
        kl=kl,
        least_cosine=least,
    )


def _doubts(
    samples: int, kl: estimate.Mean | None, limits: Limits, broken: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Reasons to say that they differ, and reasons to say nothing."""
    against: list[str] = []
    unknown: list[str] = []
    if "a" in broken:
        unknown.append("the logits of a are not finite")
    elif "b" in broken:
        against.append("the logits of b are not finite, those of a are")
    if not samples or kl is None:
        unknown.append("no samples")
    elif kl.low is None or kl.high is None:
        unknown.append("one sample has no uncertainty; ask for more --steps or prompts")
    elif kl.low > limits.kl:
        against.append(f"mean KL {kl.mean:.3g} nats, surely above {limits.kl:g}")
    elif not kl.high <= limits.kl:
        unknown.append(
            f"mean KL is in {max(0.0, kl.low):.3g} to {kl.high:.3g} nats, the limit {limits.kl:g} among them"
        )
    return against, unknown
