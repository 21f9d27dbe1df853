"""`pv explain`: a rule, a standing, a result, a target, the exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pv.lint.rule import Rule


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A rule, exit-codes, standings, results, challenges, targets, gates, changes, or one word of these.",
        ),
    ],
) -> None:
    """Explain a rule, a standing, a result, a target or the exit codes.

    `pv rules` lists the rules.
    """
    from pv.errors import UsageError
    from pv.lint.registry import RULES_BY_NAME
    from pv.report.topics import TOPICS
    from pv.suggest import did_you_mean

    topics = {topic.lower(): text for topic, text in TOPICS.items()}
    asked = name.strip().lower().replace("_", "-")
    if rule := RULES_BY_NAME.get(asked):
        sys.stdout.write(_documentation(rule))
    elif text := topics.get(asked) or topics.get(asked.replace("-", "_")) or topics.get(asked.replace("-", " ")):
        sys.stdout.write(f"{text}\n")
    else:
        hint = did_you_mean(name, [*RULES_BY_NAME, *TOPICS])
        raise UsageError(f"nothing is called {name!r}{hint or '; pv rules lists the rules, and see pv explain --help'}")


def _documentation(rule: Rule) -> str:
    from pv.lint.rule import Stage
    from pv.schema.finding import Severity

    facts = f"{rule.severity}, found in the {rule.stage} stage"
    if rule.stage is Stage.BINDING and rule.severity is Severity.WARNING:
        facts += "; an error under --strict-test-binding"
    if rule.stage is Stage.FILE and rule.severity is Severity.ERROR:
        facts += "; cannot be ignored, because the file was not read"
    return f"{rule.name} ({facts})\n\n{rule.documentation}\n\n## Fix\n{rule.fix or 'Each finding names its own.'}\n"
