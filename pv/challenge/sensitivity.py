"""The smallest relative size of a graded fault that a falsifier still catches, by bisection between powers of ten.

    1.0 caught?  - no, it broke -> 0.1, 0.01, 0.001: a fault can be too large to run at all
                 - no, it survived -> none: the falsifier does not see this fault
    yes          -> halve the interval between the smallest caught size and 1e-9 until RUNS runs are used
                    every size was caught -> the last run is of size 0, which must not be: a fault that is caught at
                    size 0 does not depend on its size, and there is no smallest one

Nine halvings of nine decades leave a factor of 1.04. Whatever is not CAUGHT counts as missed. A falsifier that
catches a size is taken to catch every larger one.
"""

from __future__ import annotations

from collections.abc import Callable

from pv.schema.run import Sensitivity
from pv.schema.verdict import ChallengeOutcome

RUNS = 10
"""Most runs of one search."""
_LARGEST_EXPONENT = 0.0
_SMALLEST_EXPONENT = -9.0
_LAST_START = -3.0


def search(outcome_at: Callable[[float], ChallengeOutcome]) -> Sensitivity:
    """
    Args:
        outcome_at: runs the falsifier with the fault at a relative size, in a process of its own.
    """
    tried: list[tuple[float, ChallengeOutcome]] = []

    def outcome(exponent: float) -> ChallengeOutcome:
        return run(10.0**exponent)

    def run(size: float) -> ChallengeOutcome:
        tried.append((size, outcome_at(size)))
        return tried[-1][1]

    caught = _LARGEST_EXPONENT
    while (first := outcome(caught)) is not ChallengeOutcome.CAUGHT:
        if first is not ChallengeOutcome.BROKEN or caught <= _LAST_START:
            return Sensitivity(None, tuple(tried))
        caught -= 1
    missed = _SMALLEST_EXPONENT
    while len(tried) < RUNS:
        if len(tried) == RUNS - 1 and missed == _SMALLEST_EXPONENT:
            return Sensitivity(None if run(0.0) is ChallengeOutcome.CAUGHT else 10.0**caught, tuple(tried))
        middle = (caught + missed) / 2
        if outcome(middle) is ChallengeOutcome.CAUGHT:
            caught = middle
        else:
            missed = middle
    return Sensitivity(10.0**caught, tuple(tried))
