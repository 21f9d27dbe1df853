"""Changes of contracts by class, and what they ask of versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pv.report.escape import visible

SCHEMA = "pv.diff/1"

LEGEND = (
    "breaking: another claim; loosened: claims less; both need a major version. "
    "tightened: claims more, minor. editorial: other words, patch."
)


@dataclass(frozen=True, slots=True)
class ChangeView:
    kind: str
    key: str
    old: str
    new: str
    why: str


@dataclass(frozen=True, slots=True)
class ContractView:
    id: str
    path: str
    status: str
    """changed, added or removed."""
    old: str
    """Version; empty if added."""
    new: str
    """Version; empty if removed."""
    changes: tuple[ChangeView, ...] = ()
    needs: str = ""
    """Part of the version that must rise; empty if none must."""
    example: str = ""
    """The lowest version that is enough."""
    is_enough: bool = True


@dataclass(frozen=True, slots=True)
class DiffView:
    old: str
    new: str
    contracts: tuple[ContractView, ...]
    unchanged: int

    @property
    def is_enough(self) -> bool:
        return all(item.is_enough for item in self.contracts)


def text(view: DiffView) -> str:
    lines = [f"{visible(view.old)} -> {visible(view.new)}", ""]
    for item in view.contracts:
        lines.extend(_contract(item))
        lines.append("")
    if any(item.changes for item in view.contracts):
        lines.extend([LEGEND, ""])
    lines.append(_closing(view))
    return "\n".join(lines) + "\n"


def as_json(view: DiffView) -> str:
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "old": view.old,
        "new": view.new,
        "enough": view.is_enough,
        "contracts": [
            {
                "id": item.id,
                "path": item.path,
                "status": item.status,
                "old_version": item.old or None,
                "new_version": item.new or None,
                "needs": item.needs or None,
                "lowest_version": item.example or None,
                "enough": item.is_enough,
                "changes": [
                    {"class": one.kind, "key": one.key, "old": one.old, "new": one.new, "why": one.why}
                    for one in item.changes
                ],
            }
            for item in view.contracts
        ],
        "totals": {"unchanged": view.unchanged, **_counts(view.contracts)},
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _contract(item: ContractView) -> list[str]:
    if item.status == "added":
        return [f"{item.id}  {item.new}  added  ({visible(item.path)})"]
    if item.status == "removed":
        return [
            f"{item.id}  {item.old}  removed  ({visible(item.path)})",
            "  loosened   everything it claimed is gone, and no version can say so: NOT ENOUGH",
        ]
    lines = [f"{item.id}  {item.old} -> {item.new}  ({visible(item.path)})"]
    for one in item.changes:
        why = f"  ({visible(one.why)})" if one.why else ""
        lines.append(f"  {one.kind:<9}  {visible(one.key)}{_values(one)}{why}")
    if not item.needs:
        lines.append("  nothing but the version changed" + ("" if item.is_enough else ", and it went back: NOT ENOUGH"))
    elif item.is_enough:
        lines.append(f"  needs a {item.needs} version, {item.example} or higher: has {item.new}")
    else:
        lines.append(f"  needs a {item.needs} version, {item.example} or higher: has {item.new}, NOT ENOUGH")
    return lines


def _values(one: ChangeView) -> str:
    if one.old and one.new:
        return f"  {visible(one.old)} -> {visible(one.new)}"
    return (
        f"  {visible(one.old or one.new)}" if (one.old or one.new) and f"[{one.old or one.new}]" not in one.key else ""
    )


def _closing(view: DiffView) -> str:
    counts = _counts(view.contracts)
    found = ", ".join(f"{count} {name}" for name, count in counts["changes"].items()) or "no changes"
    short = sum(not item.is_enough for item in view.contracts)
    verdict = "every version is high enough" if not short else f"{short} versions are not high enough"
    return (
        f"{counts['changed']} contracts changed, {counts['added']} added, {counts['removed']} removed,"
        f" {view.unchanged} unchanged: {found}; {verdict}."
    )


def _counts(contracts: Sequence[ContractView]) -> dict[str, Any]:
    kinds = Counter(one.kind for item in contracts for one in item.changes)
    return {
        **{status: sum(item.status == status for item in contracts) for status in ("changed", "added", "removed")},
        "changes": {kind: kinds[kind] for kind in ("breaking", "loosened", "tightened", "editorial") if kinds[kind]},
    }
