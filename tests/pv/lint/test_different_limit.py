"""The limit in the contract against the limits that a test recorded."""

from __future__ import annotations

import pytest

from pv.lint.engine import run_rules
from pv.lint.rule import Stage
from pv.schema.evidence import Value
from support.catalogs import GOOD, context

TOLERANCE = "metric: relative_error\n      limit: 1.0e-6\n"
assert TOLERANCE in GOOD


def value(name: str, limit: float | None, *, unit: str = "1", bound: str = "at_most") -> Value:
    return Value(name=name, value=0.5e-6, unit=unit, limit=limit, bound=bound)  # type: ignore[arg-type]


def messages(*values: Value, text: str = GOOD) -> list[str]:
    found = run_rules(
        context(text, discharges={}, measured={"FALSIFY-ROPE-001": {"cpu": values}}), {Stage.EVIDENCE}
    )  # fmt: skip
    assert {item.rule for item in found} <= {"different-limit"}
    return [item.message for item in found]


@pytest.mark.parametrize(
    "values",
    [
        (value("relative_error", 1e-6),),
        (value("elements", 64.0, unit="elements", bound="at_least"), value("relative_error", 1e-6)),
        (value("error of the norm", 1e-6),),
        (value("error of the norm", 1e-6, unit="of the norm"), value("NMSE", 1e-9)),
    ],
    ids=["by name", "beside a count", "by limit", "beside a tighter one"],
)
def test_the_same_limit_is_fine(values):
    assert messages(*values) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((value("relative_error", 1e-3),), "measures 'relative_error' against at most 0.001"),
        ((value("relative_error", 1e-9),), "measures 'relative_error' against at most 1e-09"),
        ((value("relative_error", 1e-6, bound="at_least"),), "measures 'relative_error' against at least 1e-06"),
        ((value("relative_error", 1e-6, unit="ulp"),), "measures 'relative_error' in 'ulp' and not in '1'"),
        ((value("relative_error", 1e-3), value("error", 1e-6)), "measures 'relative_error' against at most 0.001"),
        ((value("error", 1.0000001e-6),), "measures 'error' at most 1.0000001e-06"),
        ((value("error", 1e-6, bound="at_least"),), "measures 'error' at least 1e-06"),
        ((value("relative_error", None),), "measures nothing against a limit"),
        ((), "measures nothing against a limit"),
    ],
)
def test_another_limit_is_found(values, said):
    whole = f"FALSIFY-ROPE-001 on cpu {said}, the tolerance of 'keeps-norm' is at most 1e-06"
    assert messages(*values) == [whole]


def test_an_exact_obligation_has_no_limit_to_differ_from():
    head, _, rest = GOOD.partition("    tolerance:\n")
    exact = head + "    exact: true\nfalsifiers:\n" + rest.partition("falsifiers:\n")[2]
    assert messages(value("weights that differ", 0.0), text=exact) == []


def test_without_evidence_nothing_is_said():
    assert run_rules(context(GOOD, discharges={}), {Stage.EVIDENCE}) == []
