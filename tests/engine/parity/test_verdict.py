"""What may be said of measured steps."""

from __future__ import annotations

import pytest

from engine.parity.measure import Step
from engine.parity.verdict import EXACT, Limits, judge

LIMITS = Limits(near_tie=0.1, cosine=0.9, kl=0.01)


def step(*, other: bool = False, deviations: float = 0.0, cosine: float = 1.0, kl: float = 0.0) -> Step:
    return Step(0, 1, 2 if other else 1, gap=deviations * 3, deviations=deviations, cosine=cosine, kl=kl)


def test_equal_sides_agree():
    found = judge([[step(), step()], [step(), step()]], EXACT)
    assert (found.answer, found.reasons) == ("agree", ())
    assert (found.samples, found.same, found.near_ties, found.flips) == (4, 4, 0, 0)


def test_near_tie_is_counted_and_forgiven():
    found = judge([[step(other=True, deviations=0.1), step()]], LIMITS)
    assert (found.answer, found.same, found.near_ties, found.flips) == ("agree", 1, 1, 0)


def test_another_token_beyond_a_near_tie_differs():
    found = judge([[step(other=True, deviations=0.2), step(other=True, deviations=0.11), step()]], LIMITS)
    assert (found.answer, found.flips) == ("differ", 2)
    assert found.reasons == (
        "another token at 2 of 3 steps; the worst costs 0.6 logits = 0.2 deviations, a near tie at most 0.1",
    )


def test_one_low_cosine_differs():
    found = judge([[step(), step(cosine=0.89)]], LIMITS)
    assert (found.answer, found.reasons) == ("differ", ("cosine 0.8900000, at least 0.9 expected",))


def test_surely_large_divergence_differs():
    """Of equal samples the interval has no width."""
    found = judge([[step(kl=0.02), step(kl=0.02)], [step(kl=0.02)]], LIMITS)
    assert (found.answer, found.reasons) == ("differ", ("mean KL 0.02 nats, surely above 0.01",))


def test_divergence_whose_interval_holds_the_limit_is_undecided():
    """Mean 0.01, standard error 0.01 over two prompts: 0.01 +- 0.127."""
    found = judge([[step(kl=0.0)], [step(kl=0.02)]], LIMITS)
    assert found.answer == "cannot decide"
    assert found.reasons == ("mean KL is in 0 to 0.137 nats, the limit 0.01 among them",)


@pytest.mark.parametrize("prompts", [[], [[], []]], ids=["no prompts", "no steps"])
def test_nothing_is_never_agreement(prompts: list[list[Step]]):
    found = judge(prompts, LIMITS)
    assert (found.answer, found.reasons, found.samples) == ("cannot decide", ("no samples",), 0)


def test_one_sample_is_undecided_unless_it_refutes():
    assert judge([[step()]], LIMITS).answer == "cannot decide"
    assert judge([[step(cosine=0.1)]], LIMITS).answer == "differ"


@pytest.mark.parametrize(
    ("broken", "answer", "reason"),
    [
        (["b"], "differ", "the logits of b are not finite, those of a are"),
        (["a"], "cannot decide", "the logits of a are not finite"),
        (["a", "b"], "cannot decide", "the logits of a are not finite"),
    ],
    ids=["b", "a", "both"],
)
def test_logits_that_are_not_finite(broken: list[str], answer: str, reason: str):
    found = judge([[step(), step()]], LIMITS, broken=broken)
    assert (found.answer, found.reasons) == (answer, (reason,))


def test_figures_that_are_nan_do_not_agree():
    nan = float("nan")
    assert judge([[step(), step(cosine=nan)]], LIMITS).answer == "differ"
    assert judge([[step(), step(other=True, deviations=nan)]], LIMITS).answer == "differ"
    assert judge([[step(), step(kl=nan)]], LIMITS).answer == "cannot decide"
