"""Which files of the project a Python file imports, directly or through others, read from the source.

Every `import` statement counts, also inside functions and under conditions, and so do the literal names of
`import_module("a.b")`, `__import__`, `pytest.importorskip` and `pytest_plugins = [...]`; importing `a.b` runs
`a/__init__.py` too, and so does being `a/b.py`. Which of several folders on the import path has a module first depends
on the order in which pytest meets conftest files and tests, so a name counts in each of them. A name that resolves to
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
from functools import cache, lru_cache
from pathlib import Path

from pv.errors import EvidenceError

_IMPORTERS = frozenset({"import_module", "__import__", "importorskip"})


class ImportClosure:
    """Answers for one state of the project; reads each file once, and parses what no other has parsed."""

    def __init__(self, root: Path, search: Iterable[str] = (".",)) -> None:
        """
        Args:
            search: folders on the import path, relative to the root, besides it and `src`, which an editable
                installation puts there.
        """
        self._root = root.resolve()
        self._search = tuple((self._root / folder).resolve() for folder in dict.fromkeys((".", "src", *search)))
        self._names: dict[Path, frozenset[str]] = {}
        self._found: dict[tuple[Path, Path], frozenset[Path]] = {}
        self._resolve = cache(_resolve)

    def of(self, files: Iterable[Path], *, beside: Iterable[Path] = ()) -> frozenset[Path]:
        """The files themselves and every project file they import, absolute.

        Args:
            beside: further folders on the import path, absolute.
        Raises:
            EvidenceError: a file cannot be read or parsed.
        """
        bases = tuple(dict.fromkeys((*self._search, *beside)))
        seen: set[Path] = set()
        waiting = [file.resolve() for file in files]
        while waiting:
            file = waiting.pop()
            if file not in seen:
                seen.add(file)
                waiting.extend(path for base in bases for path in self._direct(base, file) if path not in seen)
        return frozenset(seen)

    def module(self, dotted: str) -> tuple[Path, ...]:
        """Files that importing `dotted` runs: its packages' `__init__.py`, then its own; empty if it is not ours."""
        for base in self._search:
            found = self._resolve(base, dotted)
            if found:
                return found
        return ()

    def _direct(self, base: Path, file: Path) -> frozenset[Path]:
        """What the file itself imports from below one folder of the import path."""
        known = self._found.get((base, file))
        if known is None:
            known = frozenset(path for name in self._imports(file) for path in self._resolve(base, name))
            self._found[base, file] = known
        return known

    def _imports(self, file: Path) -> frozenset[str]:
        """Dotted names, its own package among them."""
        if file not in self._names:
            try:
                self._names[file] = _names(file.read_bytes(), self._package(file), str(file))
            except (OSError, SyntaxError, ValueError) as err:
                name = file.relative_to(self._root) if file.is_relative_to(self._root) else file.name
                raise EvidenceError(f"{name}: cannot be fingerprinted: {err}") from err
        return self._names[file]

    def _package(self, file: Path) -> tuple[str, ...]:
        """Dotted parts of the package that `file` belongs to, for its relative imports."""
        for base in sorted(self._search, key=lambda folder: len(folder.parts), reverse=True):
            if file.is_relative_to(base):
                return file.relative_to(base).parent.parts
        return ()


# A discharge asks three times: before it runs anything, afterwards, and for the standings.
@lru_cache(maxsize=8192)
def _names(source: bytes, package: tuple[str, ...], filename: str) -> frozenset[str]:
    """Dotted names, the package itself among them."""
    return frozenset({".".join(package), *_imported_names(ast.parse(source, filename=filename), package)})


def _imported_names(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parts = package[: len(package) - level + 1] if level else []
                base = ".".join([*parts, *([module] if module else [])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in names if base)
            case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function), args=[first, *_]) if (
                function in _IMPORTERS
            ):
                yield from _texts(first)
            case ast.Assign(targets=[ast.Name(id="pytest_plugins")], value=value):
                yield from _texts(value)


def _texts(node: ast.expr) -> Iterator[str]:
    """What is written out: one text, or a list of texts."""
    for item in node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else [node]:
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            yield item.value


def _resolve(base: Path, dotted: str) -> tuple[Path, ...]:
    parts = dotted.split(".")
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
