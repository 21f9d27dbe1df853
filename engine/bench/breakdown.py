"""Where the time of one forward goes: per operation on the CPU, per kernel on a GPU.

A prefill is broken down over its first chunk, a decode over one token. The forward runs a few times, the first of them
not counted, and each operation's time is the median over the others.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

from engine.bench import subject as subjects
from engine.bench.figure import Figure
from engine.bench.measure import Runs

FORWARDS = 3
"""At most; no more than a speed has repeats."""


@dataclass(frozen=True, slots=True)
class Part:
    """All calls of one operation in one forward."""

    operation: str
    seconds: float
    calls: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One forward, the longest part first."""

    subject: str
    figure: Figure
    tokens: int
    """Of the forward."""
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """Sum over the parts."""
        return sum(part.seconds for part in self.parts)


def breakdown(run: Runs, figure: Figure, *, forwards: int = FORWARDS) -> Breakdown:
    """Run `figure` a few times more; counts in no speed."""
    subject = run.subject
    prefill = figure.kind == "prefill"
    ids = subjects.prompt(subject.model, min(figure.tokens, subject.chunk) if prefill else 1)
    found: list[dict[str, float]] = []
    calls: Counter[str] = Counter()
    for _ in range(1 + forwards):
        cache = subject.model.new_cache(len(ids)) if prefill else run.cache(figure.tokens)
        marks: list[tuple[str, Any, Any]] = []
        with subject.watched(lambda *noted, marks=marks: marks.append(noted)):
            subject.advance(ids, cache)
        seconds: dict[str, float] = {}
        for name, start, end in marks:
            seconds[name] = seconds.get(name, 0.0) + subject.timer.seconds(start, end)
        found.append(seconds)
        calls = Counter(name for name, _, _ in marks)
    parts = [Part(name, statistics.median(f.get(name, 0.0) for f in found[1:]), calls[name]) for name in calls]
    parts.sort(key=lambda part: -part.seconds)
    return Breakdown(subject.name, figure, len(ids), tuple(parts))
