"""Falsifiers and the test functions that they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pv.lint.context import LintContext
from pv.lint.nodeid import file_of, is_node_id, unsafe_path
from pv.lint.rule import BindingRule
from pv.load import Loaded
from pv.schema.binding import CollectedTest
from pv.schema.contract import Falsifier
from pv.schema.finding import Finding
from pv.schema.location import Location


class Binding(StrEnum):
    """What ties a falsifier to a test; every falsifier has exactly one."""

    BOUND = "bound"
    """pytest collects the test, and every parameter set of it names the falsifier back."""
    UNBOUND = "unbound"
    """It names no test, the test does not name it back, or nobody knows because the file cannot be collected."""
    DANGLING = "dangling"
    """It names a test that pytest does not collect."""


def binding_of(context: LintContext, falsifier: Falsifier) -> Binding:
    tests = context.tests.get(falsifier.test)
    if tests:
        return Binding.BOUND if all(falsifier.id in test.falsifies for test in tests) else Binding.UNBOUND
    if not is_node_id(falsifier.test) or unsafe_path(falsifier.test) is not None:
        return Binding.UNBOUND
    return Binding.UNBOUND if context.is_uncollected(file_of(falsifier.test)) else Binding.DANGLING


@dataclass(frozen=True, slots=True)
class BoundFunction:
    """One test function that a falsifier names, however many parameter sets it has."""

    falsifier: Falsifier
    tests: tuple[CollectedTest, ...]
    """The parameter sets that the falsifier names."""
    loaded: Loaded
    index: int
    """Of the falsifier in its contract."""

    @property
    def name(self) -> str:
        return self.tests[0].base

    @property
    def claimed_at(self) -> Location:
        """The falsifier's `test:` in its contract."""
        return self.loaded.locations[("falsifiers", self.index, "test")]


def bound_functions(context: LintContext) -> Iterator[BoundFunction]:
    """Every (falsifier, test function) pair in which the test was collected."""
    for loaded, _, index, falsifier in context.falsifiers():
        tests = context.tests.get(falsifier.test, ())
        if tests:
            yield BoundFunction(falsifier, tests, loaded, index)


def at_test(rule: BindingRule, bound: BoundFunction, message: str, *, fix: str = "") -> Finding:
    """A finding at the test function, with the claim beside it."""
    test = bound.tests[0]
    return Finding(
        rule=rule.name,
        severity=rule.severity,
        message=message,
        location=Location(test.path, test.line, 1, test.line, 1),
        fix=fix,
        subject=bound.falsifier.id,
        related=((f"{bound.falsifier.id} names this test here", bound.claimed_at),),
    )
