"""Everything that one benchmark found, and the same as JSON; `bench.schema.json` beside this file says its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.bench.breakdown import Breakdown
from engine.bench.figure import Figure, Left, Samples, Speed
from engine.bench.process import StartUp
from engine.bench.subject import Limits
from engine.bench.work import Work

SCHEMA = "q4k.bench/1"
CONTENT = "random keys and values"
"""What decode finds in the cache."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure on one subject, beside the limits of its place."""

    speed: Speed
    work: Work
    limits: Limits

    @property
    def bytes_per_s(self) -> float:
        """Achieved, of weights and cache."""
        return self.speed.samples.median * self.work.bytes

    @property
    def flops_per_s(self) -> float:
        return self.speed.samples.median * self.work.flops

    @property
    def share_of_reading(self) -> float:
        """Achieved bytes per second over the measured read bandwidth; above 1 where caches help."""
        return self.bytes_per_s / self.limits.read_bandwidth.median

    @property
    def share_of_arithmetic(self) -> float:
        return self.flops_per_s / self.limits.arithmetic.median


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for."""

    prompt_tokens: tuple[int, ...] = (128, 512, 2048, 4096)
    context: tuple[int, ...] = (0, 512, 4096)
    new_tokens: int = 64
    repeats: int = 5

    @property
    def figures(self) -> list[Figure]:
        return [Figure("prefill", n) for n in self.prompt_tokens] + [Figure("decode", n) for n in self.context]


@dataclass(frozen=True, slots=True)
class Report:
    """One run of `q4k bench`."""

    machine: Mapping[str, Any]
    model: Mapping[str, Any]
    settings: Settings
    subjects: Sequence[Mapping[str, Any]]
    limits: Mapping[str, Limits]
    """By place."""
    results: Sequence[Result]
    left: Sequence[Left]
    breakdowns: Sequence[Breakdown]
    start_ups: Sequence[StartUp]
    peer: Mapping[str, Any] | None

    def result(self, subject: str, figure: Figure) -> Result | None:
        """The result of one figure, if it was measured."""
        found = (r for r in self.results if (r.speed.subject, r.speed.figure) == (subject, figure))
        return next(found, None)

    def ratios(self, peer: str) -> list[Speed]:
        """Every figure over the peer's, round by round."""
        return [
            Speed(r.speed.subject, r.speed.figure, r.speed.samples.over(other.speed.samples))
            for r in self.results
            if r.speed.subject != peer and (other := self.result(peer, r.speed.figure))
        ]


def as_json(report: Report, peer: str) -> dict[str, Any]:
    """The object that `--json` prints."""
    settings = report.settings
    return {
        "schema": SCHEMA,
        "machine": dict(report.machine),
        "model": dict(report.model),
        "settings": {
            "prompt_tokens": list(settings.prompt_tokens),
            "context": list(settings.context),
            "new_tokens": settings.new_tokens,
            "repeats": settings.repeats,
            "context_content": CONTENT,
        },
        "subjects": [dict(facts) for facts in report.subjects],
        "limits": [
            {
                "place": place,
                "read_bytes_per_s": _samples(limits.read_bandwidth),
                "flops_per_s": _samples(limits.arithmetic),
                "product": limits.product,
            }
            for place, limits in report.limits.items()
        ],
        "results": [
            {
                **_what(result.speed.subject, result.speed.figure),
                "tokens_per_s": _samples(result.speed.samples),
                "bytes_per_token": result.work.bytes,
                "flops_per_token": result.work.flops,
                "bytes_per_s": result.bytes_per_s,
                "flops_per_s": result.flops_per_s,
                "share_of_read_bandwidth": result.share_of_reading,
                "share_of_product": result.share_of_arithmetic,
            }
            for result in report.results
        ],
        "not_measured": [{**_what(left.subject, left.figure), "reason": left.reason} for left in report.left],
        "breakdown": [
            {
                **_what(found.subject, found.figure),
                "forward_tokens": found.tokens,
                "seconds": found.seconds,
                "parts": [
                    {"operation": part.operation, "seconds": part.seconds, "calls": part.calls} for part in found.parts
                ],
            }
            for found in report.breakdowns
        ],
        "start_up": [
            {
                "subject": found.subject,
                "prompt_tokens": found.prompt_tokens,
                "first_token_s": _samples(found.first_token),
                "peak_bytes": found.peak_bytes,
            }
            for found in report.start_ups
        ],
        "peer": dict(report.peer) if report.peer else None,
        "ratios": [
            {**_what(ratio.subject, ratio.figure), "ratio": _samples(ratio.samples)} for ratio in report.ratios(peer)
        ],
    }


def _what(subject: str, figure: Figure) -> dict[str, Any]:
    return {"subject": subject, "kind": figure.kind, "tokens": figure.tokens}


def _samples(samples: Samples) -> dict[str, Any]:
    return {
        "median": samples.median,
        "lowest": samples.low,
        "highest": samples.high,
        "samples": list(samples.values),
    }
