"""What the source of a collected test shows: whether it checks anything, and what it looks at."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pv.bind.checks import can_fail, checks_in
from pv.bind.module import Function, Module
from pv.bind.reach import Reach, modules_used
from pv.process.pytest_options import project_ini
from pv.schema.binding import CollectedTest
from pv.schema.settings import Settings

# What a test needs to open and read a contract file; whoever uses nothing else looks at nothing else.
_READING_MODULES = frozenset(
    {"collections", "functools", "io", "itertools", "json", "math", "os", "pathlib", "pytest", "re", "ruamel",
     "string", "sys", "tomllib", "typing", "yaml", "pv.catalog", "pv.load", "pv.schema"}
)  # fmt: skip
_OWN_FIXTURES = frozenset({"self", "pv", "request", "tmp_path", "monkeypatch", "capsys", "capfd", "caplog"})


@dataclass(frozen=True, slots=True)
class _Facts:
    line: int
    skip_reason: str | None
    checks: int
    constant_only: bool
    reads_own_contract: bool


class Sources:
    """Parsed modules of one project; a file is read once in a while."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root
        self._contract_folders = settings.contracts
        entries = [*project_ini(root).get("pythonpath", []), "."]
        self._search = tuple(dict.fromkeys((root / entry).resolve() for entry in entries))
        # A tree takes 50 times the size of its file. Tests come file by file, and share few helpers.
        self._module = lru_cache(maxsize=16)(self._parse)
        # Parameter sets of one test share one function.
        self._facts_of = lru_cache(maxsize=256)(self._describe)

    def _parse(self, path: str) -> Module | None:
        try:
            return Module.parse((self._root / path).read_text(encoding="utf-8"), path, self._root, self._search)
        except (OSError, SyntaxError, ValueError, RecursionError):
            # pytest says what is wrong with it.
            return None

    def describe(self, test: CollectedTest) -> CollectedTest:
        """`test` with the facts of its source; unchanged but for one presumed check where there is no source."""
        facts = self._facts_of(test.path, test.base.partition("::")[2])
        if facts is None:
            return dataclasses.replace(test, checks=1)
        return dataclasses.replace(
            test,
            line=facts.line,
            unconditional_skip=test.unconditional_skip or facts.skip_reason,
            checks=facts.checks,
            constant_assertions_only=facts.constant_only,
            reads_own_contract=facts.reads_own_contract,
        )

    def _describe(self, path: str, names: str) -> _Facts | None:
        module = self._module(path)
        function = module.function(names) if module is not None else None
        if function is None:
            return None
        functions = Reach(self._module).functions(function)
        checks = [check for reached in functions for check in checks_in(reached)]
        return _Facts(
            line=function.node.lineno,
            skip_reason=function.skip_reason(),
            checks=len(checks),
            constant_only=bool(checks) and not any(can_fail(check) for check in checks),
            reads_own_contract=self._reads_only_contracts(functions),
        )

    def shadowed(self, path: str) -> tuple[tuple[str, int], ...]:
        """(node id, line) of tests that a later definition of the same name hides."""
        module = self._module(path)
        return () if module is None else tuple((f"{path}::{name}", line) for name, line in module.hidden_tests())

    def _reads_only_contracts(self, functions: tuple[Function, ...]) -> bool:
        if not any(self._names_contract(text) for function in functions for text in function.texts()):
            return False
        test = functions[0]
        unknown = set(test.parameters()) - _OWN_FIXTURES - {function.node.name for function in functions}
        if unknown - test.parametrized():
            return False
        used = {name for function in functions for name in modules_used(function)}
        return all(any(name == known or name.startswith(f"{known}.") for known in _READING_MODULES) for name in used)

    def _names_contract(self, text: str) -> bool:
        return any(text == folder or text.startswith(f"{folder}/") for folder in self._contract_folders)
