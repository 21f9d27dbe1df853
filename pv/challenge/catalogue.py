"""The faults that a module offers, and which files of the project each of them concerns; read from the source.

A fault is a public function at the module's top level that needs no argument and gives a context manager:
`@contextmanager`, an annotation that says so (also through a name such as `Seeded = AbstractContextManager[None]`),
or no annotation at all; or a public class with `__enter__` whose `__init__`, if any, needs none. It concerns the
project's modules that its body names, directly or through other functions of its module, and those whose dotted names
it holds as text. Nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pv.errors import UsageError
from pv.evidence.imports import ImportClosure


@dataclass(frozen=True, slots=True)
class Fault:
    reference: str
    """`module:function`."""
    concerns: frozenset[Path]
    """Absolute; empty if the source does not show it."""

    def may_reach(self, files: frozenset[Path]) -> bool:
        """Whether a test that runs these files could meet the fault."""
        return not self.concerns or bool(self.concerns & files)


def faults_of(closure: ImportClosure, modules: Sequence[str]) -> list[Fault]:
    """Every fault of the modules, in the order of their source.

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
            source = _Source(ast.parse(file.read_bytes()), closure, file)
        except (OSError, SyntaxError, ValueError) as err:
            raise UsageError(f"fault catalogue {module!r} cannot be read: {err}") from err
        offered = [Fault(f"{module}:{name}", source.concerns(name)) for name in source.faults()]
        if not offered:
            raise UsageError(f"fault catalogue {module!r} offers no public context manager without arguments")
        found += offered
    return found


class _Source:
    def __init__(self, tree: ast.Module, closure: ImportClosure, file: Path) -> None:
        self._closure = closure
        self._file = file
        self._places = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        self._imports = dict(_imports(tree))
        self._aliases: Mapping[str, str] = {
            target.id: ast.unparse(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def faults(self) -> Iterator[str]:
        for name, place in self._places.items():
            is_fault = _is_context_manager(place) if isinstance(place, ast.ClassDef) else self._gives_one(place)
            if is_fault and not name.startswith("_"):
                yield name

    def _gives_one(self, function: ast.FunctionDef) -> bool:
        if _required(function):
            return False
        if any("contextmanager" in ast.unparse(item) for item in function.decorator_list):
            return True
        if function.returns is None:
            return True
        returned = ast.unparse(function.returns).strip("'\"")
        return "ContextManager" in self._aliases.get(returned, returned)

    def concerns(self, name: str) -> frozenset[Path]:
        names, texts = self._mentioned(name, set())
        dotted = {self._imports[item] for item in names if item in self._imports} | texts
        found = {files[-1] for item in dotted if (files := self._closure.module(item))}
        return frozenset(found - {self._file})

    def _mentioned(self, name: str, seen: set[str]) -> tuple[set[str], set[str]]:
        """Names and dotted texts in the body of a function of this module and of those it calls."""
        seen.add(name)
        names: set[str] = set()
        texts: set[str] = set()
        for node in (inner for statement in self._places[name].body for inner in _walk(statement)):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
                # Of f"engine.ops.{backend}" the package is known.
                texts.add(node.value.rstrip("."))
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                texts.update(dotted for _, dotted in _imported(node))
        for callee in (names & self._places.keys()) - seen:
            more_names, more_texts = self._mentioned(callee, seen)
            names |= more_names
            texts |= more_texts
        return names, texts


def _required(function: ast.FunctionDef) -> int:
    arguments = function.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return required + sum(default is None for default in arguments.kw_defaults)


def _is_context_manager(place: ast.ClassDef) -> bool:
    methods = {node.name: node for node in place.body if isinstance(node, ast.FunctionDef)}
    return "__enter__" in methods and ("__init__" not in methods or _required(methods["__init__"]) == 1)


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
