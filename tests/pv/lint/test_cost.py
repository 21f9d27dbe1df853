"""Rules are linear in the size of the catalog: ten thousand contracts must not take an afternoon.

Calls are counted, of Python's functions and of C's, since a clock would also measure what else the machine does.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pv.catalog import Catalog
from pv.lint.context import LintContext
from pv.lint.engine import run_rules
from pv.lint.rule import Stage
from pv.load import load_text
from pv.schema.binding import Collection
from pv.schema.contract import Discharge
from pv.schema.settings import Settings
from support.catalogs import GOOD, collected


def large(count: int, *, broken: bool) -> LintContext:
    """A chain of contracts with a test each; `broken` makes every reference a near miss, which asks for hints."""
    base = load_text(GOOD.encode(), "contracts/rope-v1.yaml")
    assert base.contract is not None
    loaded, tests = [], []
    for number in range(count):
        name = f"FALSIFY-{number}"
        test = f"falsifiers/test_{number % 7}.py::test_{number}"
        falsifier = base.contract.falsifiers[0].model_copy(
            update={"id": name, "test": test + "x" * broken, "prediction": f"prediction {number}"}
        )
        contract = base.contract.model_copy(
            update={
                "id": f"contract-{number}",
                "falsifiers": (falsifier,),
                "depends_on": (f"contract-{(number + 1) % count}" + "x" * broken,),
                "discharge": Discharge(standing="DISCHARGED"),  # type: ignore[arg-type]
            }
        )
        loaded.append(replace(base, path=f"contracts/contract-{number}-v1.yaml", contract=contract))
        tests.append(collected(test, name + "x" * broken))
    return LintContext(
        catalog=Catalog(Path("/nowhere"), tuple(loaded)),
        settings=Settings(),
        root=Path("/nowhere"),
        collection=Collection(tuple(tests)),
        discharges={item.contract.id: Discharge(standing="OPEN") for item in loaded if item.contract},  # type: ignore[arg-type]
    )


def calls(count: int, *, broken: bool) -> int:
    context = large(count, broken=broken)
    made = 0

    def count_calls(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        assert run_rules(context, frozenset(Stage))
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("broken", [False, True], ids=["sound", "every reference wrong"])
def test_ten_times_the_contracts_take_ten_times_the_calls(broken):
    assert calls(300, broken=broken) < 11 * calls(30, broken=broken)
