"""The project's own Python modules, looked up by dotted name without importing anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_MAX_BYTES = 4 << 20


def is_dotted(name: str) -> bool:
    """Whether it could be the name of a module; `x.py` is a file's."""
    return _DOTTED.fullmatch(name) is not None and not name.endswith(".py")


class Modules:
    """Modules below the folders that pytest, or an editable installation, puts on the import path; read once each."""

    def __init__(self, root: Path, search: Iterable[str]) -> None:
        self._folders = [root / entry for entry in dict.fromkeys((".", "src", *search))]
        self._modules: dict[str, Module | None] = {}
        self._own: dict[str, bool] = {}

    def is_own(self, dotted: str) -> bool:
        """Whether the top-level package lies in the project; of any other nothing is known here."""
        top = dotted.partition(".")[0]
        if top not in self._own:
            self._own[top] = any(
                _is_package(folder / top) or (folder / f"{top}.py").is_file() for folder in self._folders
            )
        return self._own[top]

    def find(self, dotted: str) -> Module | None:
        if dotted not in self._modules:
            self._modules[dotted] = next(self._candidates(dotted), None)
        return self._modules[dotted]

    def _candidates(self, dotted: str) -> Iterator[Module]:
        for folder in self._folders:
            place = folder.joinpath(*dotted.split("."))
            for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                if file.is_file():
                    yield Module(file)
            if place.is_dir():
                yield Module(None)


class Module:
    def __init__(self, file: Path | None) -> None:
        self._file = file
        """None for a folder without `__init__.py`."""

    @cached_property
    def names(self) -> frozenset[str] | None:
        """What the module defines or imports at its top level; None if the source does not show it."""
        if self._file is None:
            return frozenset()
        try:
            with self._file.open("rb") as stream:
                tree = ast.parse(stream.read(_MAX_BYTES))
        except (OSError, SyntaxError, ValueError, RecursionError):
            return None
        found = frozenset(_top_level(tree.body))
        return None if found & {"*", "__getattr__"} else found


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file() or any(folder.glob("*.py"))


def _top_level(body: list[ast.stmt]) -> Iterator[str]:
    """Names bound by statements that run when the module is imported; loops and `with` included."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
            case ast.Assign():
                nodes = (node for target in statement.targets for node in ast.walk(target))
                yield from (node.id for node in nodes if isinstance(node, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                for field in ("body", "orelse", "finalbody"):
                    yield from _top_level(getattr(statement, field, []))
                for handler in getattr(statement, "handlers", []):
                    yield from _top_level(handler.body)
