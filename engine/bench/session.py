"""One benchmark from its subjects to its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.bench import subject as subjects
from engine.bench.breakdown import FORWARDS, breakdown
from engine.bench.figure import Figure
from engine.bench.machine import machine
from engine.bench.measure import Progress, Runs, measure
from engine.bench.peer import Peer
from engine.bench.process import StartUp
from engine.bench.report import Report, Result, Settings
from engine.bench.subject import Limits, Subject
from engine.bench.work import weights_of, work
from engine.gguf.reader import GgufFile


def run(
    file: GgufFile,
    tested: Sequence[Subject],
    settings: Settings,
    *,
    peer: Peer | None = None,
    start_ups: Sequence[StartUp] = (),
    synthetic: bool = False,
    say: Progress = lambda _: None,
) -> Report:
    """Measure every figure on every subject; limits of their places first, breakdowns last.

    Args:
        synthetic: the weights are random; for the report.
        say: told what is measured next.

    Raises:
        GgufError: GGUF-M15, the model file changed meanwhile.
    """
    limits: dict[str, Limits] = {}
    for subject in tested:
        if subject.place not in limits:
            say(f"limits of {subject.place}")
            limits[subject.place] = subject.limits()
    runs = [Runs(subject, settings.new_tokens) for subject in tested]
    figures = settings.figures
    speeds, left = measure(runs, figures, repeats=settings.repeats, new_tokens=settings.new_tokens, peer=peer, say=say)
    file.check_unchanged()
    weights = weights_of(file)
    by_name = {subject.name: subject for subject in tested}
    results = []
    for speed in speeds:
        # the peer does the same work where the first subject does it
        subject = by_name.get(speed.subject, tested[0])
        cost = work(
            weights,
            subject.model.config,
            speed.figure,
            new_tokens=settings.new_tokens,
            chunk=subject.chunk,
            position_bytes=subjects.position_bytes(subject),
        )
        results.append(Result(speed, cost, limits[subject.place]))
    broken = []
    for r in runs:
        for figure in _first_and_last([f for f in figures if not r.why_not(f)]):
            say(f"breakdown of {r.subject.name} {figure}")
            broken.append(breakdown(r, figure, forwards=min(FORWARDS, settings.repeats)))
    file.check_unchanged()
    return Report(
        machine=machine(),
        model={
            "name": file.path.name,
            "synthetic": synthetic,
            "size_bytes": file.size_bytes,
            "read_bytes": weights.bytes,
            "weights": weights.layers + weights.output,
        },
        settings=settings,
        subjects=[{"name": subject.name, **subject.facts()} for subject in tested],
        limits=limits,
        results=results,
        left=left,
        breakdowns=broken,
        start_ups=start_ups,
        peer=_facts(peer) if peer else None,
    )


def _first_and_last(figures: Sequence[Figure]) -> list[Figure]:
    """Of each kind; once if they are the same."""
    found: dict[Figure, None] = {}
    for kind in ("prefill", "decode"):
        of_kind = [figure for figure in figures if figure.kind == kind]
        found |= dict.fromkeys(of_kind[:1] + of_kind[-1:])
    return list(found)


def _facts(peer: Peer) -> dict[str, Any]:
    return {"name": peer.name, **peer.facts, "peak_bytes": peer.peak_bytes}
