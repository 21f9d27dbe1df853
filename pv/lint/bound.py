"""Test functions that falsifiers name, once each however many parameter sets they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.load import Loaded
from pv.schema.binding import CollectedTest
from pv.schema.contract import Falsifier
from pv.schema.finding import Finding
from pv.schema.location import Location


@dataclass(frozen=True, slots=True)
class BoundFunction:
    falsifier: Falsifier
    tests: tuple[CollectedTest, ...]
    """The parameter sets that the falsifier names."""
    claimed_at: Location
    """The falsifier's `test:` in its contract."""

    @property
    def name(self) -> str:
        return self.tests[0].base


def bound_functions(context: LintContext) -> Iterator[BoundFunction]:
    """Every (falsifier, test function) pair in which the test was collected."""
    for loaded, _, index, falsifier in context.falsifiers():
        tests = context.tests.get(falsifier.test, ())
        if tests:
            yield BoundFunction(falsifier, tests, _claimed_at(loaded, index))


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


def _claimed_at(loaded: Loaded, index: int) -> Location:
    return loaded.locations[("falsifiers", index, "test")]
