"""Which files of the project a Python file imports, directly or through others, read from the source.

Every `import` statement counts, also inside functions and under conditions, and so does a literal
`import_module("a.b")`; importing `a.b` runs `a/__init__.py` too, and so does being `a/b.py`. A name that resolves to
no file under the project's roots belongs to an installed package and is not followed.

The library grimp is the judge of this module in the tests, over every module of the repository, and no part of it:
grimp finds packages by what is loaded and on `sys.path` here, refuses modules outside packages, leaves out folders
without `__init__.py` below packages - the usual folders of tests - and fails as a whole for one file that cannot be
parsed. Each of these would leave out what evidence depends on, or make it stale for nothing.
Not here: imports whose name is computed; a falsifier lists those modules as `subjects`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from pv.errors import EvidenceError


class ImportClosure:
    """Answers for one state of the project; parses each file once."""

    def __init__(self, root: Path, search: Iterable[str] = (".",)) -> None:
        """
        Args:
            search: folders on the import path, relative to the root.
        """
        self._root = root.resolve()
        self._search = tuple((self._root / folder).resolve() for folder in dict.fromkeys((".", *search)))
        self._direct: dict[Path, frozenset[Path]] = {}

    def of(self, files: Iterable[Path]) -> frozenset[Path]:
        """The files themselves and every project file they import, absolute.

        Raises:
            EvidenceError: a file cannot be read or parsed.
        """
        seen: set[Path] = set()
        waiting = [file.resolve() for file in files]
        while waiting:
            file = waiting.pop()
            if file not in seen:
                seen.add(file)
                waiting.extend(self._imports(file) - seen)
        return frozenset(seen)

    def module(self, dotted: str) -> tuple[Path, ...]:
        """Files that importing `dotted` runs: its packages' `__init__.py`, then its own; empty if it is not ours."""
        for base in self._search:
            found = _resolve(base, dotted.split("."))
            if found:
                return found
        return ()

    def _imports(self, file: Path) -> frozenset[Path]:
        if file not in self._direct:
            try:
                tree = ast.parse(file.read_bytes(), filename=str(file))
            except (OSError, SyntaxError, ValueError) as err:
                name = file.relative_to(self._root) if file.is_relative_to(self._root) else file.name
                raise EvidenceError(f"{name}: cannot be fingerprinted: {err}") from err
            package = self._package(file)
            names = {".".join(package), *_imported_names(tree, package)}
            self._direct[file] = frozenset(path for dotted in names for path in self.module(dotted)) - {file}
        return self._direct[file]

    def _package(self, file: Path) -> list[str]:
        """Dotted parts of the package that `file` belongs to, for its relative imports."""
        for base in sorted(self._search, key=lambda folder: len(folder.parts), reverse=True):
            if file.is_relative_to(base):
                return list(file.relative_to(base).parent.parts)
        return []


def _imported_names(tree: ast.AST, package: list[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parts = package[: len(package) - level + 1] if level else []
                base = ".".join([*parts, *([module] if module else [])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in names if base)
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def _resolve(base: Path, parts: list[str]) -> tuple[Path, ...]:
    files = []
    folder = base
    for position, part in enumerate(parts):
        if not part.isidentifier():
            return ()
        module = folder / f"{part}.py"
        package = folder / part / "__init__.py"
        if package.is_file():
            files.append(package)
        elif module.is_file():
            # `from a.b import name`: the rest of the dotted name is an attribute of the module.
            return (*files, module)
        elif not (folder / part).is_dir():
            # An attribute of the package found so far; nothing found so far means that it is not ours.
            return tuple(files) if position else ()
        folder = folder / part
    return tuple(files)
