"""A rule: a name, a severity, a stage, documentation in its docstring, and a check.

    class MissingFalsifier(Rule):
        \"\"\"An obligation has neither a falsifier nor a waiver.

        ## What it does
        ## Why is this bad?
        ## Example
        ## Use instead
        ## References
        \"\"\"

The docstring is Markdown; `pv explain` prints it, SARIF carries it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar

from pv.lint.context import LintContext
from pv.load import KeyPath, Loaded, Parsed, dotted
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location

HEADINGS = ("What it does", "Why is this bad?", "Example", "Use instead", "References")


class Stage(StrEnum):
    """What a rule needs to have been looked at."""

    FILE = "file"
    """One file's bytes; reported by the loader."""
    CATALOG = "catalog"
    """All contracts."""
    BINDING = "binding"
    """All contracts and pytest's collection."""
    EVIDENCE = "evidence"
    """All contracts and the standings that evidence supports."""


class Rule(ABC):
    name: ClassVar[str]
    """Kebab-case, the problem's name, so that 'allow ...' reads well."""
    severity: ClassVar[Severity] = Severity.ERROR
    stage: ClassVar[Stage] = Stage.CATALOG
    suppressible: ClassVar[bool] = True
    """Whether a contract or a baseline may hide its findings."""
    fix: ClassVar[str] = ""
    """What to do, in one line, where every finding has the same remedy."""

    @abstractmethod
    def check(self, context: LintContext) -> Iterable[Finding]:
        """Every finding; time linear in the size of the catalog."""

    @property
    def documentation(self) -> str:
        return inspect.cleandoc(type(self).__doc__ or "")

    @property
    def summary(self) -> str:
        return self.documentation.partition("\n")[0]

    def at(
        self,
        loaded: Loaded | Parsed[Any],
        path: KeyPath,
        message: str,
        *,
        subject: str,
        on_key: bool = False,
        fix: str = "",
        related: Iterable[tuple[str, Location]] = (),
    ) -> Finding:
        """A finding at a key path of a contract file: at its value, or at the key itself."""
        location = loaded.locations.key(path) if on_key else loaded.locations[path]
        return Finding(
            rule=self.name,
            severity=self.severity,
            message=message,
            location=location,
            fix=fix,
            subject=subject,
            key=dotted(path),
            related=tuple(related),
        )


class LoaderRule(Rule):
    """Documents a finding that `pv.load` makes while it reads a file."""

    stage = Stage.FILE
    suppressible = False

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded in context.files:
            for finding in loaded.findings:
                if finding.rule == self.name:
                    yield finding


class LateRule(Rule):
    """Runs after all others, on a context that knows which suppressions and baseline entries nothing needed."""

    suppressible = False


class BindingRule(Rule):
    """Checks contracts against collected tests; a warning here is an error under `--strict-test-binding`."""

    stage = Stage.BINDING
    severity = Severity.WARNING
