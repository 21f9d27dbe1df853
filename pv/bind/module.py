"""One parsed Python file: its functions by node-id name, its imports, its constants."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


@dataclass(frozen=True, slots=True)
class Function:
    """A function and where it stands."""

    module: Module
    node: FunctionNode
    owner: ast.ClassDef | None

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Everything in it, decorators and nested functions included."""
        if self.node not in self.module.walked:
            self.module.walked[self.node] = tuple(ast.walk(self.node))
        return self.module.walked[self.node]

    def parameters(self) -> tuple[str, ...]:
        arguments = self.node.args
        return tuple(item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))

    def parametrized(self) -> set[str]:
        """Parameters that get their values from `parametrize`."""
        names: set[str] = set()
        for decorator in self.node.decorator_list:
            if isinstance(decorator, ast.Call) and dotted(decorator.func).endswith("parametrize") and decorator.args:
                first = decorator.args[0]
                texts = [node.value for node in ast.walk(first) if isinstance(node, ast.Constant)]
                names.update(name.strip() for text in texts if isinstance(text, str) for name in text.split(","))
        return names

    def texts(self) -> Iterator[str]:
        """String constants of the body, the docstring left out, and of the module's constants that it names."""
        docstring = ast.get_docstring(self.node, clean=False)
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != docstring:
                yield node.value
            elif isinstance(node, ast.Name) and node.id in self.module.constants:
                for inner in ast.walk(self.module.constants[node.id]):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value

    def skip_reason(self) -> str | None:
        """Why the function always skips, as far as its source shows: `skipif(True)`, or `pytest.skip()` first."""
        decorators = [*self.node.decorator_list, *(self.owner.decorator_list if self.owner else ())]
        for decorator in decorators:
            if isinstance(decorator, ast.Call) and dotted(decorator.func).endswith("mark.skipif") and decorator.args:
                condition = decorator.args[0]
                if isinstance(condition, ast.Constant) and condition.value in (True, 1, "True", "1"):
                    return "skipif with a condition that is always true"
        for statement in self.node.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            if is_call and dotted(statement.value.func) == "pytest.skip":  # type: ignore[attr-defined]
                return "skips itself in its first statement"
            break
        return None


@dataclass(frozen=True, slots=True)
class _Scope:
    """The definitions of one module or class by name."""

    functions: dict[str, FunctionNode] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    path: str
    tree: ast.Module
    root: Path
    search: tuple[Path, ...]
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Local name to (module, name in that module); the second is empty for a module itself."""
    found: dict[str, str | None] = field(default_factory=dict)
    """What `find` has answered."""
    walked: dict[FunctionNode, tuple[ast.AST, ...]] = field(default_factory=dict)
    """Nodes of the functions that were asked for. No `Function`, so that a module without users is freed at once."""
    scopes: dict[ast.ClassDef | None, _Scope] = field(default_factory=dict)
    """Definitions of the classes that were asked for; of the module itself by None."""

    @classmethod
    def parse(cls, text: str, path: str, root: Path, search: tuple[Path, ...]) -> Module:
        """Raises SyntaxError, ValueError or RecursionError for what is not Python."""
        module = cls(path, ast.parse(text), root, search)
        for node in _nested(module.tree.body):
            module._note_import(node)
        for statement in module.tree.body:
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        module.constants[target.id] = statement.value
        return module

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                self.imports[name] = (alias.name if alias.asname else name, "")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = self.path.split("/")[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            for alias in node.names:
                self.imports[alias.asname or alias.name] = (base, alias.name)

    def function(self, names: str) -> Function | None:
        """The function that `Class::name` means at run time: the last definition of each name."""
        owner: ast.ClassDef | None = None
        *classes, name = names.split("::")
        for class_name in classes:
            owner = self._scope(owner).classes.get(class_name)
            if owner is None:
                return None
        node = self._scope(owner).functions.get(name)
        return None if node is None else Function(self, node, owner)

    def _scope(self, owner: ast.ClassDef | None) -> _Scope:
        if owner not in self.scopes:
            self.scopes[owner] = _definitions(self.tree.body if owner is None else owner.body)
        return self.scopes[owner]

    def find(self, module: str) -> str | None:
        """Path, relative to the root, of a module of the project; None for any other."""
        if module not in self.found:
            self.found[module] = self._search(module)
        return self.found[module]

    def _search(self, module: str) -> str | None:
        relative = module.replace(".", "/")
        for folder in (*self.search, (self.root / self.path).parent):
            for candidate in (folder / f"{relative}.py", folder / relative / "__init__.py"):
                if candidate.is_file() and candidate.resolve().is_relative_to(self.root):
                    return candidate.resolve().relative_to(self.root).as_posix()
        return None

    def hidden_tests(self) -> Iterator[tuple[str, int]]:
        """(Class::name, line) of test functions that a later definition in the same body hides."""
        yield from _hidden(self.tree.body, "")


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _nested(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement, outer ones first, those inside functions, classes and branches included."""
    waiting = deque(body)
    while waiting:
        statement = waiting.popleft()
        yield statement
        for block in _BLOCKS:
            waiting.extend(_statements(getattr(statement, block, [])))


def _definitions(body: list[ast.stmt]) -> _Scope:
    """The last definition of each name in `body`, branches of if, try and with included."""
    found = _Scope()
    for statement in body:
        if isinstance(statement, FunctionNode):
            found.functions[statement.name] = statement
        elif isinstance(statement, ast.ClassDef):
            found.classes[statement.name] = statement
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            for block in _BLOCKS:
                inner = _definitions(_statements(getattr(statement, block, [])))
                found.functions.update(inner.functions)
                found.classes.update(inner.classes)
    return found


def _statements(block: list[ast.AST]) -> list[ast.stmt]:
    inner = [node.body if isinstance(node, ast.ExceptHandler | ast.match_case) else [node] for node in block]
    return [statement for statements in inner for statement in statements if isinstance(statement, ast.stmt)]


def _hidden(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    last: dict[str, ast.stmt] = {}
    for statement in body:
        if isinstance(statement, FunctionNode | ast.ClassDef):
            earlier = last.get(statement.name)
            if earlier is not None:
                yield from _tests_of(earlier, prefix)
            last[statement.name] = statement
            if isinstance(statement, ast.ClassDef):
                yield from _hidden(statement.body, f"{prefix}{statement.name}::")


def _tests_of(node: ast.stmt, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, FunctionNode) and node.name.startswith("test"):
        yield f"{prefix}{node.name}", node.lineno
    elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
        for statement in node.body:
            yield from _tests_of(statement, f"{prefix}{node.name}::")
