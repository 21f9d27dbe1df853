"""Which helpers a test can reach by name: in its own module, and in imported test-support modules.

The code under test is not a helper: its own assertions check nothing for the test. Otherwise deliberately generous:
a helper counts when it is named, whether or not it is called, because a false "assertion-free" is worse than a missed
one - a vacuous falsifier is caught by its challenges.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from pv.bind.module import Function, Module, dotted

_MAX_DEPTH = 4
_SUPPORT = re.compile(r"test|falsif|support|helper|conftest")

Load = Callable[[str], Module | None]


class Reach:
    """Walks from a test to its helpers."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def functions(self, test: Function) -> tuple[Function, ...]:
        """The test first, then every function that it names, and that those name, to a fixed depth."""
        seen: dict[ast.AST, Function] = {test.node: test}
        frontier = [test]
        for _ in range(_MAX_DEPTH):
            named = [helper for function in frontier for helper in self._named(function)]
            frontier = [helper for helper in named if helper.node not in seen]
            seen.update((helper.node, helper) for helper in frontier)
        return tuple(seen.values())

    def _named(self, function: Function) -> Iterator[Function]:
        for name in (*names_in(function), *function.parameters()):
            helper = self._resolve(function, name)
            if helper is not None:
                yield helper

    def _resolve(self, function: Function, name: str) -> Function | None:
        module = function.module
        first, _, rest = name.partition(".")
        if first in ("self", "cls") and function.owner is not None:
            return module.function(f"{function.owner.name}::{rest}")
        if not rest and (own := module.function(name)) is not None:
            return own
        if first in module.imports:
            source, inner = module.imports[first]
            return self._imported(module, [part for part in (*source.split("."), inner, *rest.split(".")) if part])
        return None

    def _imported(self, module: Module, parts: list[str]) -> Function | None:
        # Where the module ends and the name in it begins is not known from the text alone.
        for cut in range(len(parts) - 1, 0, -1):
            path = module.find(".".join(parts[:cut]))
            found = self._load(path) if path is not None and _SUPPORT.search(path) else None
            if found is not None:
                return found.function("::".join(parts[cut:]))
        return None


def names_in(function: Function) -> Iterator[str]:
    """Names and dotted names that are read in it."""
    for inner in function.nodes:
        if isinstance(inner, ast.Attribute | ast.Name) and isinstance(inner.ctx, ast.Load):
            name = dotted(inner)
            if name:
                yield name


def modules_used(function: Function) -> set[str]:
    """Modules whose names occur in the function, in full."""
    used: set[str] = set()
    for name in names_in(function):
        source = function.module.imports.get(name.partition(".")[0])
        if source is not None:
            used.add(source[0])
    return used
