"""A catalogue of faults by class: what each mimics, who catches it, and why where nobody does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pv.report.escape import visible
from pv.schema.fault import Fault
from pv.schema.verdict import ChallengeOutcome

Caught = Mapping[str, Sequence[str]]
"""Fault -> falsifiers, each with its target."""
Outcomes = Mapping[str, Counter[ChallengeOutcome]]

_INDENT = " " * 6


def is_enough(catalogue: Sequence[Fault], caught: Caught, percent: float) -> bool:
    """Whether that share is caught, and every other fault says why it is not; of no faults nothing is."""
    hit = sum(fault.reference in caught for fault in catalogue)
    excused = all(fault.excuse for fault in catalogue if fault.reference not in caught)
    return bool(catalogue) and 100 * hit >= percent * len(catalogue) and excused


def reason(fault: Fault | None, outcomes: Counter[ChallengeOutcome]) -> str:
    """Why nobody catches a fault: what its source says, otherwise what happened."""
    if fault is not None and fault.excuse:
        return fault.excuse
    if not outcomes:
        return "no falsifier that ran could meet it"
    parts = {
        ChallengeOutcome.SURVIVED: "passed with it",
        ChallengeOutcome.NOT_APPLIED: "never ran its code",
        ChallengeOutcome.BROKEN: "ended in an error",
    }
    return ", ".join(f"{outcomes[kind]} falsifiers {what}" for kind, what in parts.items() if outcomes[kind])


def text(catalogue: Sequence[Fault], caught: Caught, outcomes: Outcomes) -> Iterator[str]:
    """One fault after the other, by class."""
    for heading, listed in _by_class(catalogue).items():
        yield f"{heading}  {_share(listed, caught)}"
        for fault in listed:
            found = caught.get(fault.reference)
            yield f"  {'C' if found else '-'}   {fault.reference}"
            yield _INDENT + visible(_whom(found) if found else f"NOBODY: {reason(fault, outcomes[fault.reference])}")
        yield ""
    yield f"{_share(catalogue, caught)} in the catalogue are caught."


def markdown(catalogue: Sequence[Fault], caught: Caught, outcomes: Outcomes, targets: Sequence[str]) -> str:
    """The same as a page, with a table for each class."""
    lines = [
        "# Seeded faults and who catches them",
        "",
        f"{_share(catalogue, caught)} are caught on {', '.join(targets)}.",
        "Of several falsifiers that catch a fault, those are named that declare it, or else the first that was asked.",
        "",
        *("| class | caught |", "|---|---|"),
        *(f"| {heading} | {_share(listed, caught)} |" for heading, listed in _by_class(catalogue).items()),
        "",
        "Caught by nobody:",
        "",
    ]
    missed = [fault for fault in catalogue if fault.reference not in caught]
    lines += [f"- `{fault.reference}`: {reason(fault, outcomes[fault.reference])}" for fault in missed] or ["- none"]
    for heading, listed in _by_class(catalogue).items():
        lines += ["", f"## {heading}", "", "| fault | what it does | caught by |", "|---|---|---|"]
        lines += [
            f"| `{fault.reference}` | {_cell(fault.title)} | {_whom(caught.get(fault.reference)) or 'nobody'} |"
            for fault in listed
        ]
    return "\n".join(lines)


def _by_class(catalogue: Sequence[Fault]) -> dict[str, list[Fault]]:
    """Faults of one class and catalogue together, in the order of their first."""
    found: dict[str, list[Fault]] = {}
    for fault in catalogue:
        module = fault.reference.partition(":")[0]
        found.setdefault(f"{module} / {fault.kind}" if fault.kind else module, []).append(fault)
    return found


def _share(listed: Sequence[Fault], caught: Caught) -> str:
    return f"{sum(fault.reference in caught for fault in listed)} of {len(listed)}"


def _whom(found: Sequence[str] | None) -> str:
    return ", ".join(" ".join(label.split()) for label in found or ())


def _cell(said: str) -> str:
    return visible(said).replace("|", "\\|")
