"""The faults that a module offers, and which files of the project each of them concerns; read from the source.

A fault is a public function at the module's top level that needs no argument and gives a context manager:
`@contextmanager`, an annotation that says so (also through a name such as `Seeded = AbstractContextManager[None]`),
or no annotation at all; or a public class with `__enter__` whose `__init__`, if any, needs none. A package offers
what its `__init__.py` defines or imports from files of its own, and the name of that file is the fault's class. A
fault concerns the project's modules that its body names, directly or through other functions of its module or package,
and those whose dotted names it holds as text. Its docstring may say why nobody catches it: `Not caught: ...`.
Nothing is imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pv.errors import UsageError
from pv.evidence.imports import ImportClosure
from pv.schema.fault import Fault

_EXCUSE = re.compile(r"^Not caught: (.+?)(?:\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)


def faults_of(closure: ImportClosure, modules: Sequence[str]) -> list[Fault]:
    """Every fault of the modules, in the order of their source; of a package by class.

    Raises:
        UsageError: a module is not a Python file of the project, or offers no fault.
    """
    found: list[Fault] = []
    for module in dict.fromkeys(modules):
        file = next(reversed(closure.module(module)), None)
        own_name = file and (file.parent.name if file.name == "__init__.py" else file.stem)
        if file is None or own_name != module.rpartition(".")[2]:
            raise UsageError(f"fault catalogue {module!r} is not a module of this project")
        try:
            offered = list(_offered(module, _Sources(closure, file)))
        except (OSError, SyntaxError, ValueError) as err:
            raise UsageError(f"fault catalogue {module!r} cannot be read: {err}") from err
        if not offered:
            raise UsageError(f"fault catalogue {module!r} offers no public context manager without arguments")
        found += offered
    return found


def _offered(module: str, sources: _Sources) -> Iterator[Fault]:
    top = sources.top
    for name in top.public():
        source, own_name = sources.origin(top, name)
        place = source.places.get(own_name)
        if place is None or not sources.is_fault(source, place):
            continue
        doc = ast.get_docstring(place) or ""
        excuse = _EXCUSE.search(doc)
        yield Fault(
            f"{module}:{name}",
            sources.concerns(source, own_name),
            "" if source is top else source.file.stem,
            doc.partition("\n")[0],
            " ".join(excuse[1].split()) if excuse else "",
        )


class _Source:
    """What one file defines and imports at its top level."""

    def __init__(self, file: Path) -> None:
        self.file = file
        tree = ast.parse(file.read_bytes())
        self.places = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        self.imports = dict(_imports(tree))
        self.aliases: Mapping[str, str] = {
            target.id: ast.unparse(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def public(self) -> Iterator[str]:
        is_package = self.file.name == "__init__.py"
        names = [*(self.imports if is_package else ()), *self.places]
        yield from (name for name in dict.fromkeys(names) if not name.startswith("_"))


class _Sources:
    """The files of one catalogue: a module, or a package with its own files."""

    def __init__(self, closure: ImportClosure, file: Path) -> None:
        self._closure = closure
        self._read: dict[Path, _Source] = {}
        self._package = file.parent if file.name == "__init__.py" else None
        self.top = self._source(file)

    def _source(self, file: Path) -> _Source:
        if file not in self._read:
            self._read[file] = _Source(file)
        return self._read[file]

    def origin(self, source: _Source, name: str) -> tuple[_Source, str]:
        """Where a name is written: followed through imports, as far as they stay within the package."""
        dotted = source.imports.get(name)
        if name in source.places or dotted is None or self._package is None:
            return source, name
        file = next(reversed(self._closure.module(dotted)), None)
        if file is None or not file.is_relative_to(self._package) or file == source.file:
            return source, name
        return self.origin(self._source(file), dotted.rpartition(".")[2])

    def is_fault(self, source: _Source, place: ast.FunctionDef | ast.ClassDef) -> bool:
        if isinstance(place, ast.ClassDef):
            methods = {node.name: node for node in place.body if isinstance(node, ast.FunctionDef)}
            return "__enter__" in methods and ("__init__" not in methods or _required(methods["__init__"]) == 1)
        if _required(place):
            return False
        if any("contextmanager" in ast.unparse(item) for item in place.decorator_list):
            return True
        if place.returns is None:
            return True
        return "ContextManager" in self._written_out(source, ast.unparse(place.returns).strip("'\""))

    def _written_out(self, source: _Source, name: str) -> str:
        """What a name of a type stands for; followed through imports, also out of the package."""
        seen: set[Path] = set()
        while name not in source.aliases and name in source.imports and source.file not in seen:
            seen.add(source.file)
            dotted = source.imports[name]
            file = next(reversed(self._closure.module(dotted)), None)
            if file is None:
                return dotted
            source, name = _Source(file), dotted.rpartition(".")[2]
        return source.aliases.get(name, name)

    def concerns(self, source: _Source, name: str) -> frozenset[Path]:
        dotted = self._mentioned(source, name, set())
        found = {files[-1] for item in dotted if (files := self._closure.module(item))}
        return frozenset(file for file in found if file not in self._read)

    def _mentioned(self, source: _Source, name: str, seen: set[tuple[Path, str]]) -> set[str]:
        """Dotted names in the body of a function, and of those of the module or package that it calls."""
        seen.add((source.file, name))
        found: set[str] = set()
        for node in (inner for statement in source.places[name].body for inner in _walk(statement)):
            if isinstance(node, ast.Name):
                callee, own_name = self.origin(source, node.id)
                if own_name not in callee.places:
                    found.update({source.imports[node.id]} if node.id in source.imports else ())
                elif (callee.file, own_name) not in seen:
                    found |= self._mentioned(callee, own_name, seen)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
                # Of f"engine.ops.{backend}" the package is known.
                found.add(node.value.rstrip("."))
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update(dotted for _, dotted in _imported(node))
        return found


def _required(function: ast.FunctionDef) -> int:
    arguments = function.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return required + sum(default is None for default in arguments.kw_defaults)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.walk`, without annotations: a type is not what a fault breaks."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What each imported name stands for; relative imports stay unknown."""
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imported(node)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.asname or alias.name.partition(".")[0], alias.name
        elif node.module and not node.level:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"
