"""Tokens per second: every round measures every figure on every subject once, in turn.

So a noisy minute touches all of them, and ratios can be taken within a round. The first round is not counted: it
compiles or loads kernels, rearranges or uploads weights, captures graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.bench import subject as subjects
from engine.bench.figure import Figure, Left, Samples, Speed
from engine.bench.peer import Peer
from engine.bench.subject import Subject
from engine.kv_cache import KvCache

Progress = Callable[[str], None]


class Runs:
    """The figures of one subject; the caches that decode starts from are filled once and kept."""

    def __init__(self, subject: Subject, new_tokens: int) -> None:
        self.subject = subject
        self._new = new_tokens
        self._caches: dict[int, KvCache] = {}

    def why_not(self, figure: Figure) -> str:
        """Why the figure cannot be measured; empty if it can."""
        most, need = self.subject.model.config.context_length, figure.positions(self._new)
        return "" if need <= most else f"needs {need} positions, the model's context holds {most}"

    def tokens_per_s(self, figure: Figure) -> float:
        """Run once."""
        return self._prefill(figure.tokens) if figure.kind == "prefill" else self._decode(figure.tokens)

    def _prefill(self, tokens: int) -> float:
        subject, model = self.subject, self.subject.model
        cache, ids = self._new_cache(tokens), subjects.prompt(model, tokens)
        start = subject.timer.mark()
        subject.advance(ids, cache)
        return tokens / subject.timer.seconds(start, subject.timer.mark())

    def _decode(self, context: int) -> float:
        subject, cache = self.subject, self.cache(context)
        token = int(subjects.prompt(subject.model, 1)[0])
        start = subject.timer.mark()
        for _ in range(self._new):
            token = subject.advance([token], cache)
        return self._new / subject.timer.seconds(start, subject.timer.mark())

    def _new_cache(self, positions: int) -> KvCache:
        """As production stores keys and values in this precision."""
        cache, kind = self.subject.model.new_cache(positions), getattr(self.subject, "kv_type", None)
        return cache.empty_as(kind) if kind else cache

    def cache(self, context: int) -> KvCache:
        """A cache that holds `context` positions of random content, with room for the new tokens."""
        if context not in self._caches:
            self._caches[context] = self._new_cache(context + self._new)
            subjects.fill(self.subject, self._caches[context], context)
        cache = self._caches[context]
        cache.truncate(context)
        return cache


def measure(
    runs: Sequence[Runs], figures: Sequence[Figure], *, repeats: int, new_tokens: int, peer: Peer | None, say: Progress
) -> tuple[list[Speed], list[Left]]:
    """All figures on all subjects, the peer among them, and those that could not be measured."""
    left = [Left(run.subject.name, f, why) for run in runs for f in figures if (why := run.why_not(f))]
    missing = {(item.subject, item.figure) for item in left}
    jobs: list[tuple[str, Figure, Callable[[], float]]] = []
    for figure in figures:
        for run in runs:
            if (run.subject.name, figure) not in missing:
                jobs.append((run.subject.name, figure, lambda run=run, figure=figure: run.tokens_per_s(figure)))  # type: ignore[misc]
        if peer and any((run.subject.name, figure) not in missing for run in runs):
            jobs.append((peer.name, figure, lambda figure=figure: peer.tokens_per_s(figure, new_tokens)))  # type: ignore[misc]
    values: dict[tuple[str, Figure], list[float]] = {(name, figure): [] for name, figure, _ in jobs}
    for number in range(repeats + 1):
        for name, figure, job in jobs:
            say(f"round {number} of {repeats}: {name} {figure}")
            speed = job()
            if number:
                values[name, figure].append(speed)
    return [Speed(name, figure, Samples(tuple(found))) for (name, figure), found in values.items()], left
