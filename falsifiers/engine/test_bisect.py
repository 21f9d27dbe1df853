"""Attempts to refute contracts/engine/bisect-v1.yaml."""

from __future__ import annotations

import pytest

from engine.bisect.bisection import FP64
from engine.bisect.judge import Judgement, Verdict
from engine.bisect.perturb import Perturbation, Shape
from engine.bisect.places import Place
from engine.bisect.selftest import trials
from engine.faults import rope
from engine.parity import sides
from falsifiers.support import bisections, engines, limits
from falsifiers.support.recorder import Recorder

CLAIM = "contracts/engine/bisect-v1.yaml#"


def worst(judgement: Judgement, skipped: frozenset[str] = frozenset()) -> float:
    """The largest own error of either side, in floors."""
    cells = [cell for cell in judgement.cells if cell.place.name not in skipped]
    return max(excess.times for cell in cells for excess in (cell.a, cell.b) if excess is not None)


@pytest.mark.falsifies("FALSIFY-BISECT-001")
def test_a_fault_of_two_floors_is_named_by_its_own_tap(pv: Recorder) -> None:
    """Refuted by a fault that is missed, or named by another place.

    Seen failing when nothing below ten floors is seen.
    """
    engines.ran_on(pv, engines.ops("cpu"))
    with bisections.bisected(pv.model, ("reference", None), ("cpu", None)) as (bisection, path):
        last = max(place.layer or 0 for place in bisection.plan.places)
        wanted = [
            Perturbation(Place(0, "q"), 2.0, Shape.EVERYWHERE, 1),
            Perturbation(Place(0, "k_rope"), 2.5, Shape.ELEMENT, 2),
            Perturbation(Place(0, "attn_out"), 3.0, Shape.CHANNEL, 3),
            Perturbation(Place(last, "swiglu"), 2.0, Shape.POSITION, 4),
            Perturbation(Place(None, "final_norm"), 4.0, Shape.EVERYWHERE, 5),
        ]
        with sides.load(sides.parse("cpu"), path) as side:
            found = list(trials(bisection, side, wanted))
    limits.record(pv, CLAIM + "names-the-first", "share named", sum(trial.is_right for trial in found) / len(wanted))
    pv.record("faults tried", len(found), limit=len(wanted), unit="faults", bound="at_least")


@pytest.mark.falsifies("FALSIFY-BISECT-002")
def test_legitimate_noise_is_never_blamed(pv: Recorder) -> None:
    """Refuted by an own error above its floor in a side that is right.

    Seen failing when floors are ignored, and when each side is held to float32.
    """
    engines.ran_on(pv, engines.ops("cpu"))
    blamed, largest = 0, 0.0
    pairs: tuple[tuple[bisections.Side, bisections.Side], ...] = (
        (("cpu-q8", None), ("cpu", None)),
        (("reference", "f16"), ("cpu-q16", None)),
    )
    for a, b in pairs:
        with bisections.bisected(pv.model, a, b) as (bisection, _):
            judgement = bisection.judgement(golden=FP64)
        blamed += judgement.verdict is not Verdict.WITHIN
        largest = max(largest, worst(judgement))
    pv.record("pairs blamed", blamed, limit=0, unit="pairs")
    limits.record(pv, CLAIM + "blames-no-noise", "largest own error", largest)


@pytest.mark.falsifies("FALSIFY-BISECT-003")
def test_operations_after_a_fault_are_not_blamed(pv: Recorder) -> None:
    """Refuted by an operation that is right and is blamed for what came before it, or named before the first one.

    Seen failing when a step is fed with float64's steps before it in place of its side's, and when the last is named.
    """
    engines.ran_on(pv, engines.ops("cpu"))
    faulty = rope.rope_wrong_pairing()
    with bisections.bisected(pv.model, ("reference", None), ("cpu", None), faulty) as (bisection, _):
        judgement = bisection.judgement(golden=FP64)
    first = judgement.found[0]
    assert judgement.verdict is Verdict.B_WRONG
    limits.record(pv, CLAIM + "names-the-first", "share named", float(first.cell.place == Place(0, "q_rope")))
    apart = max(cell.apart.times for cell in judgement.cells if cell.apart is not None)
    pv.record("how far both sides are apart", apart, limit=100.0, unit="floors", bound="at_least")
    others = worst(judgement, frozenset({"q_rope", "k_rope"}))
    limits.record(pv, CLAIM + "inherits-nothing", "largest own error beside RoPE", others)


@pytest.mark.falsifies("FALSIFY-BISECT-004")
def test_a_noisy_reference_decides_nothing(pv: Recorder) -> None:
    """Refuted by an exact backend that is called wrong, or right, by a reference that is noisier than itself.

    Seen failing when the reference is taken to be right.
    """
    engines.ran_on(pv, engines.ops("cpu"))
    with bisections.bisected(pv.model, ("cpu-q8", None), ("cpu", None)) as (bisection, _):
        alone, beside_golden = bisection.judgement(), bisection.judgement(golden=FP64)
    pv.record("decided by noise", int(alone.verdict is not Verdict.TOO_NOISY), limit=0, unit="verdicts")
    pv.record("blamed beside float64", int(beside_golden.verdict is not Verdict.WITHIN), limit=0, unit="verdicts")
    assert not any(first.side for first in alone.found), alone.found
