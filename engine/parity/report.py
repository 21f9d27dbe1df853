"""Everything that one comparison found, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.parity import estimate
from engine.parity.compare import Measured, Plan, Side
from engine.parity.measure import Step
from engine.parity.saved import Saved
from engine.parity.verdict import Limits, Verdict

SCHEMA = "q4k.parity/1"


@dataclass(frozen=True, slots=True)
class AtStep:
    """One step of all prompts that have it."""

    step: int
    """From 1; the choice after the prompt is the first."""
    samples: int
    same: int
    share: tuple[float, float]
    """95 % interval of the share of the same token."""
    largest_gap: float
    least_cosine: float
    kl: estimate.Mean


@dataclass(frozen=True, slots=True)
class Report:
    """One run of `q4k parity`."""

    model: str
    sides: Mapping[str, Mapping[str, Any]]
    """What ran as 'a' and as 'b'."""
    tokens_from: str
    found: Measured
    limits: Limits
    verdict: Verdict

    @property
    def share(self) -> tuple[float, float] | None:
        """95 % interval of the share of the same token."""
        return estimate.wilson(self.verdict.same, self.verdict.samples) if self.verdict.samples else None

    def by_step(self) -> list[AtStep]:
        """Each step, over the prompts."""
        most = max(map(len, self.found.steps), default=0)
        return [
            _at_step(number + 1, [steps[number] for steps in self.found.steps if number < len(steps)])
            for number in range(most)
        ]

    def others(self) -> list[tuple[int, int, Step]]:
        """Steps at which the tokens differ, with the numbers of prompt and step from 1."""
        return [
            (prompt, number, step)
            for prompt, steps in enumerate(self.found.steps, 1)
            for number, step in enumerate(steps, 1)
            if not step.same
        ]


def facts(side: Side) -> dict[str, Any]:
    """What ran, or was saved, as one side."""
    if isinstance(side, Saved):
        return {"name": side.file.name, "saved": True, "place": side.about.backend, **asdict(side.about)}
    return {"name": side.name.text, "saved": False, **side.facts()}


def as_json(report: Report) -> dict[str, Any]:
    """The object that `--json` prints."""
    found, verdict = report.found, report.verdict
    return {
        "schema": SCHEMA,
        "model": report.model,
        "sides": {name: {**side, "samples": found.samples[name]} for name, side in report.sides.items()},
        "tokens_from": report.tokens_from,
        "limits": asdict(report.limits),
        "verdict": {**asdict(verdict), "same_share_interval": report.share},
        "by_step": [asdict(row) for row in report.by_step()],
        "prompts": [_prompt(plan, steps) for plan, steps in zip(found.plans, found.steps, strict=False)],
    }


def _prompt(plan: Plan, steps: list[Step]) -> dict[str, Any]:
    return {
        "token_ids": plan.token_ids,
        "prompt_tokens": plan.prompt_tokens,
        "steps": [{**asdict(step), "same": step.same} for step in steps],
    }


def _at_step(number: int, steps: list[Step]) -> AtStep:
    kl = estimate.mean([[step.kl] for step in steps])
    assert kl is not None
    same = sum(step.same for step in steps)
    return AtStep(
        step=number,
        samples=len(steps),
        same=same,
        share=estimate.wilson(same, len(steps)),
        largest_gap=max(step.gap for step in steps),
        least_cosine=min(step.cosine for step in steps),
        kl=kl,
    )
