"""Examples of rules: tests/data/lint/<rule>/{good,bad}/ is a small project each.

contracts/         contract files
falsifiers/        tests; where it exists, binding rules look at the example as well
recomputed.json    standings by contract id; where it exists, evidence rules look at the example as well
measured.json      recorded values by falsifier id and target
problem.txt        why standings could not be recomputed
unregistered.json  reason by falsifier id, why its evidence is not younger than its claim
baseline.json      findings that are known
.before/           contract files as they were at an older commit
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pv.catalog import load_catalog, load_questions
from pv.lint.context import LintContext
from pv.lint.rule import Stage
from pv.load import load_file
from pv.schema.binding import CollectedTest, Collection
from pv.schema.contract import Contract, Discharge
from pv.schema.evidence import Value
from pv.schema.settings import Settings
from pv.workflow.baseline import read_baseline

ROOT = Path(__file__).parents[1] / "data" / "lint"
TODAY = date(2026, 11, 21)
"""Fixed, because some examples are about dates."""


@dataclass(frozen=True)
class Example:
    rule: str
    kind: str
    """good or bad."""

    @property
    def path(self) -> Path:
        return ROOT / self.rule / self.kind

    @property
    def has_tests(self) -> bool:
        return (self.path / "falsifiers").is_dir()

    @property
    def stages(self) -> frozenset[Stage]:
        stages = {Stage.FILE, Stage.CATALOG}
        if self.has_tests:
            stages.add(Stage.BINDING)
        if self._recomputed.exists():
            stages.add(Stage.EVIDENCE)
        return frozenset(stages)

    def context(self, collection: Collection) -> LintContext:
        """
        Args:
            collection: of all examples at once, collected with tests/data/lint as root.
        """
        settings = Settings()
        return LintContext(
            catalog=load_catalog(self.path, settings, [self.path]),
            settings=settings,
            root=self.path,
            questions=load_questions(self.path, settings),
            collection=self._own(collection) if self.has_tests else None,
            discharges=self._discharges(),
            evidence_problem=self._problem(),
            measured=self._measured(),
            unregistered=self._json("unregistered.json"),
            previous=self._previous(),
            since="HEAD~1",
            baseline=read_baseline(self.path, self.path / "baseline.json", may_be_missing=True),
            today=TODAY,
        )

    @property
    def _recomputed(self) -> Path:
        return self.path / "recomputed.json"

    def _discharges(self) -> Mapping[str, Discharge] | None:
        if not self._recomputed.exists():
            return None
        stored = json.loads(self._recomputed.read_text(encoding="utf-8"))
        return {name: Discharge.model_validate(value) for name, value in stored.items()}

    def _measured(self) -> dict[str, dict[str, list[Value]]]:
        found = self._json("measured.json") or {}
        return {
            name: {target: [Value.model_validate(value) for value in values] for target, values in targets.items()}
            for name, targets in found.items()
        }

    def _json(self, name: str) -> Any:
        file = self.path / name
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def _previous(self) -> dict[str, tuple[str, Contract | None]] | None:
        folder = self.path / ".before"
        if not folder.is_dir():
            return None
        old = [load_file(folder, path) for path in sorted(folder.glob("*.yaml"))]
        return {item.id or "": (f"contracts/{item.path}", item.contract) for item in old}

    def _problem(self) -> str:
        file = self.path / "problem.txt"
        return file.read_text(encoding="utf-8").strip() if file.exists() else ""

    def _own(self, collection: Collection) -> Collection:
        """The example's part, with node ids and paths as if the example were the root."""
        prefix = f"{self.rule}/{self.kind}/"

        def local(test: CollectedTest) -> CollectedTest:
            return replace(test, nodeid=test.nodeid.removeprefix(prefix), path=test.path.removeprefix(prefix))

        return Collection(
            tests=tuple(local(test) for test in collection.tests if test.path.startswith(prefix)),
            problems=tuple(
                replace(problem, path=problem.path.removeprefix(prefix))
                for problem in collection.problems
                if problem.path.startswith(prefix)
            ),
            shadowed=tuple(
                (nodeid.removeprefix(prefix), line) for nodeid, line in collection.shadowed if nodeid.startswith(prefix)
            ),
        )


def examples(kind: str) -> list[Example]:
    return [Example(path.name, kind) for path in sorted(ROOT.iterdir()) if (path / kind).is_dir()]
