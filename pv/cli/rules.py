"""`pv rules`: every rule in one line each, or everything about them as JSON."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pv.lint.rule import Rule


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def command(
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.TEXT,
) -> None:
    """List the rules of `pv lint`."""
    from pv.lint.registry import RULES
    from pv.lint.rule import Stage

    if output_format is Format.JSON:
        document = {"schema": "pv.rules/1", "rules": [_entry(rule) for rule in RULES]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    width = max(len(rule.name) for rule in RULES)
    for stage in Stage:
        print(f"{stage}")
        for rule in _of(RULES, stage):
            print(f"  {rule.name:<{width}}  {rule.severity:<7}  {rule.summary}")
        print()
    counts = ", ".join(f"{len(_of(RULES, stage))} {stage}" for stage in Stage)
    print(f"{len(RULES)} rules: {counts}. pv explain NAME shows one.")


def _of(rules: tuple[Rule, ...], stage: str) -> list[Rule]:
    return [rule for rule in rules if rule.stage == stage]


def _entry(rule: Rule) -> dict[str, str]:
    return {
        "name": rule.name,
        "severity": str(rule.severity),
        "stage": str(rule.stage),
        "summary": rule.summary,
        "fix": rule.fix,
        "documentation": rule.documentation,
    }
