"""The evidence that standings are made of: committed, intact, of this version, not from the future."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pv.errors import EvidenceError
from pv.evidence.blocks import Blocks
from pv.evidence.scan import scan
from pv.schema.store import Aborted, Ignored, Stored


@dataclass(frozen=True, slots=True)
class Evidence:
    records: tuple[Stored, ...]
    ignored: tuple[Ignored, ...]
    aborted: tuple[Aborted, ...]
    blocks: Blocks

    def problems(self) -> tuple[str, ...]:
        """What no run of pv leaves behind, one line each: somebody changed the store."""
        return _counted(item for item in self.ignored if not item.is_harmless)

    def notes(self) -> tuple[str, ...]:
        """What else a reader of a verdict has to know about the store, one line each; empty if nothing is odd."""
        said = [*_counted(item for item in self.ignored if item.is_harmless)]
        if self.aborted:
            runs = ", ".join(item.run for item in self.aborted[:3])
            more = f" and {len(self.aborted) - 3} more" if len(self.aborted) > 3 else ""
            said.append(f"{len(self.aborted)} runs have no end, aborted or still running: {runs}{more}")
        return tuple(said)


def read_evidence(folder: Path, *, now: datetime | None = None) -> Evidence:
    """Everything that counts, in the order of digests.

    Raises:
        EvidenceError: something in the store is not what a run of pv leaves behind; then nothing counts.
    """
    found = scan(folder, now=now)
    if found.problems:
        first, more = found.problems[0], len(found.problems) - 1
        others = f", and {more} more problems" if more else ""
        raise EvidenceError(f"{folder.name}/{first}{others}; see pv evidence verify")
    return Evidence(tuple(found.records.values()), tuple(found.ignored), tuple(found.aborted), Blocks(found.blocks))


def _counted(ignored: Iterable[Ignored]) -> tuple[str, ...]:
    reasons = Counter(_general(item) for item in ignored)
    return tuple(f"{count} evidence records do not count: {why}" for why, count in sorted(reasons.items()))


def _general(item: Ignored) -> str:
    """The reason without what is particular to one record, so that equal reasons are counted together."""
    if item.why.startswith("run "):
        return "the run that wrote them was interrupted"
    if item.why.startswith("started "):
        return "they are from the future, or have no valid time"
    return item.why
