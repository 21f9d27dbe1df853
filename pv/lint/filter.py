"""Take known findings out, and keep account of what was needed for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pv.lint.context import LintContext
from pv.lint.known import Entry, Identity
from pv.lint.rule import Rule
from pv.load import Loaded
from pv.schema.contract import MAX_SUPPRESSION_DAYS, Contract, Suppression
from pv.schema.finding import Finding


@dataclass(frozen=True, slots=True)
class Kept:
    findings: list[Finding]
    known: tuple[Finding, ...]
    """Those that were taken out."""


def without_suppressed(
    context: LintContext, found: Iterable[Finding], rules: Collection[Rule]
) -> tuple[Kept, tuple[tuple[str, int], ...]]:
    """Findings that no contract suppresses, and the suppressions of these rules that hid nothing.

    A suppression that has expired or lasts too long, and one of a rule that cannot be suppressed, hides nothing and has
    its own finding.
    """
    able = {rule.name for rule in rules if rule.suppressible}
    by_rule: dict[tuple[str, str], list[tuple[Loaded, int]]] = {}
    for loaded, contract in context.readable:
        for index, item in enumerate(contract.suppress):
            if item.rule in able and 0 <= (item.until - context.today).days <= MAX_SUPPRESSION_DAYS:
                for subject in _subjects(contract, item):
                    by_rule.setdefault((item.rule, subject), []).append((loaded, index))
    kept: list[Finding] = []
    known: list[Finding] = []
    used: set[tuple[str, int]] = set()
    for finding in found:
        files = {finding.location.path, *(place.path for _, place in finding.related)}
        hits = [item for item in by_rule.get((finding.rule, finding.subject), ()) if item[0].path in files]
        used.update((loaded.path, index) for loaded, index in hits)
        (known if hits else kept).append(finding)
    idle = {(loaded.path, index) for items in by_rule.values() for loaded, index in items} - used
    return Kept(kept, tuple(known)), tuple(sorted(idle))


def without_baseline(
    context: LintContext, found: Iterable[Finding], rules: Collection[Rule]
) -> tuple[Kept, tuple[tuple[Entry, int], ...]]:
    """Findings beyond those that the baseline knows, and entries of these rules that covered fewer than they could."""
    able = {rule.name for rule in rules if rule.suppressible}
    entries = context.baseline.entries if context.baseline is not None else ()
    entries = tuple(item for item in entries if item.identity.rule in able and item.until >= context.today)
    room: Counter[Identity] = Counter()
    for entry in entries:
        room[entry.identity] += entry.count
    kept: list[Finding] = []
    known: list[Finding] = []
    for finding in found:
        identity = Identity.of(finding)
        if room[identity] > 0:
            room[identity] -= 1
            known.append(finding)
        else:
            kept.append(finding)
    idle = []
    for entry in entries:
        unused = min(entry.count, room[entry.identity])
        room[entry.identity] -= unused
        if unused:
            idle.append((entry, entry.count - unused))
    return Kept(kept, tuple(known)), tuple(idle)


def _subjects(contract: Contract, item: Suppression) -> tuple[str, str]:
    """A finding's subject as it is, or below the contract's id as waivers have it."""
    return (item.id, f"{contract.id}/{item.id}")
