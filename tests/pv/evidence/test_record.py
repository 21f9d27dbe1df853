"""What one test may put into a record is bounded, and the bound is said."""

import time

import pytest

from pv.errors import EvidenceError
from pv.evidence.record import RECORDED_LIMIT_BYTES, bounded
from pv.evidence.redact import Redactor
from pv.evidence.store import Store
from pv.schema.run import Job, Measured, Outcome
from pv.schema.verdict import Result
from support.records import make_statement


def outcome(**changes):
    job = Job("F-1", "c", ("t.py::test",), "cpu", 1.0)
    return Outcome(**{"job": job, "result": Result.PASS, "reason": "1 test passed", "duration_s": 0.1, **changes})


def test_an_ordinary_outcome_is_kept_as_it_is():
    made = outcome(values=tuple(Measured(f"error {n}", 0.5, "1", 1.0) for n in range(1000)))
    assert bounded(made) is made


@pytest.mark.parametrize(
    "changes",
    [
        {"values": tuple(Measured(f"error {n}", 0.5, "1", 1.0) for n in range(20_000))},
        {"device": {f"key {n}": "x" * 100 for n in range(10_000)}},
    ],
    ids=["values", "device"],
)
def test_too_much_is_an_error_and_not_a_record_that_nobody_can_read(changes):
    made = bounded(outcome(**changes))
    assert (made.result, made.values, made.device) == (Result.ERROR, (), {})
    assert f"at most {RECORDED_LIMIT_BYTES} are kept" in made.reason


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_an_error(number):
    for changes in ({"values": (Measured("error", number, "1", 1.0),)}, {"device": {"deep": [number]}}):
        made = bounded(outcome(**changes))
        assert (made.result, made.reason) == (Result.ERROR, "recorded a number that is not finite")


def test_the_store_writes_nothing_that_it_would_not_read(tmp_path):
    ids = [f"checks/test_double.py::test_double[{'x' * 100}-{n}]" for n in range(40_000)]
    with pytest.raises(EvidenceError, match=r"FALSIFY-DOUBLE-001: its record has \d+ bytes, at most 4194304 are kept"):
        Store(tmp_path).add(make_statement(tests=ids))
    assert not (tmp_path / "records").exists()


def test_a_very_long_text_is_cut_and_searched_in_time(tmp_path):
    began = time.process_time()
    cut = Redactor(tmp_path, {}).text("a" * 2_000_000)
    assert cut.endswith(" ... 1992000 characters left out")
    assert time.process_time() - began < 5
