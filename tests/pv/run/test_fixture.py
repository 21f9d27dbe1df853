"""`pv.record` and its siblings: what cannot be evidence is refused on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pv.run.fixture import MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, Context, Pv


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def fixture(sent: list[dict[str, Any]]) -> Pv:
    def send(kind: str, **fields: Any) -> None:
        sent.append({"kind": kind, **fields})

    return Pv("test_a.py::test_x", Context("cpu", None, send))


def test_value_is_recorded_before_it_fails(fixture: Pv, sent: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match=r"^error = 0\.5 logit, expected at most 0\.1$"):
        fixture.record("error", 0.5, limit=0.1, unit="logit")
    assert sent == [
        {
            "kind": "value",
            "id": "test_a.py::test_x",
            "name": "error",
            "value": 0.5,
            "limit": 0.1,
            "unit": "logit",
            "bound": "at_most",
        }
    ]


def test_limit_itself_is_within_the_limit(fixture: Pv) -> None:
    fixture.record("error", 0.1, limit=0.1)
    fixture.record("score", 0.9, limit=0.9, bound="at_least")


def test_score_below_its_limit_fails(fixture: Pv) -> None:
    with pytest.raises(AssertionError, match=r"score = 0\.5, expected at least 0\.9"):
        fixture.record("score", 0.5, limit=0.9, bound="at_least")


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(3), np.float64(0.5), np.array(0.5)])
def test_numbers_of_any_make_are_recorded_as_floats(value: Any, fixture: Pv, sent: list[dict[str, Any]]) -> None:
    fixture.record("x", value)
    assert type(sent[0]["value"]) is float
    assert sent[0]["value"] == float(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float32("nan")])
def test_what_is_not_finite_is_refused(value: Any, fixture: Pv, sent: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="finite"):
        fixture.record("x", value)
    with pytest.raises(ValueError, match="finite"):
        fixture.record("y", 1.0, limit=value)
    assert sent == []


@pytest.mark.parametrize("value", [None, "1.0", b"1", True, 1j, [1.0], np.zeros(2), np.zeros((1, 1))])
def test_what_is_no_number_is_refused(value: Any, fixture: Pv) -> None:
    with pytest.raises(TypeError, match="expected"):
        fixture.record("x", value)


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_value_needs_a_name(name: Any, fixture: Pv) -> None:
    with pytest.raises(ValueError, match="name"):
        fixture.record(name, 1.0)


def test_name_is_used_once(fixture: Pv) -> None:
    """The second value of a loop would replace, or hide behind, the first."""
    fixture.record("x", 1.0)
    with pytest.raises(ValueError, match="already recorded"):
        fixture.record("x", 2.0)


@pytest.mark.parametrize("arguments", [{"bound": "below"}, {"unit": ""}])
def test_unknown_bound_and_missing_unit_are_refused(arguments: dict[str, str], fixture: Pv) -> None:
    with pytest.raises(ValueError, match=r"expected at_most|no unit"):
        fixture.record("x", 1.0, **arguments)


def test_attachments_are_bounded(fixture: Pv, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(b"x" * MAX_ATTACHMENT_BYTES)
    fixture.attach("from a file", path)
    with pytest.raises(ValueError, match="at most 1048576"):
        fixture.attach("too large", b"x" * (MAX_ATTACHMENT_BYTES + 1))
    with pytest.raises(ValueError, match="already attached"):
        fixture.attach("from a file", b"")
    for index in range(1, MAX_ATTACHMENTS):
        fixture.attach(str(index), b"")
    with pytest.raises(ValueError, match="one too many"):
        fixture.attach("last", b"")


def test_device_needs_one_target(fixture: Pv) -> None:
    with pytest.raises(ValueError, match="no 'target'"):
        fixture.ran_on({"name": "H200"})
    fixture.ran_on({"target": "cuda:sm_90", "name": "H200"})
    fixture.ran_on({"target": "cuda:sm_90", "launches": 12})
    with pytest.raises(ValueError, match="already ran on 'cuda:sm_90', now 'cpu'"):
        fixture.ran_on({"target": "cpu"})


def test_model_is_named_when_it_is_missing(fixture: Pv, tmp_path: Path) -> None:
    with pytest.raises(pytest.UsageError, match="no model"):
        _ = fixture.model
    gone = Pv("id", Context("cpu", tmp_path / "gone.gguf"))
    with pytest.raises(pytest.UsageError, match="no such model file"):
        _ = gone.model


def test_comparators_record_before_they_fail(fixture: Pv, sent: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match=r"^logits = 0\.5 logit, expected at most 0\.1 \(margin -400 %\)"):
        fixture.close([1.5], [1.0], limit=0.1, unit="logit", name="logits")
    with pytest.raises(AssertionError, match="elements that differ = 1"):
        fixture.exact([1], [2])
    fixture.cosine([1.0, 2.0], [2.0, 4.0], limit=0.5)
    fixture.kl([0.0, 1.0], [1.0, 2.0], limit=0.5)
    said = [(item["name"], item["value"], item["limit"], item["unit"], item["bound"]) for item in sent]
    assert said == [
        ("logits", 0.5, 0.1, "logit", "at_most"),
        ("elements that differ", 1.0, 0.0, "elements", "at_most"),
        ("cosine", pytest.approx(1.0), 0.5, "1", "at_least"),
        ("kl", pytest.approx(0.0), 0.5, "nat", "at_most"),
    ]
    assert all(type(item["value"]) is float for item in sent)


def test_comparator_without_bound_is_recorded_as_the_largest_number(fixture: Pv, sent: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match="error = inf"):
        fixture.close([1.0], [0.0], limit=1, metric="max_rel", name="error")
    assert sent[0]["value"] == np.finfo(np.float64).max


def test_unfit_comparison_is_not_recorded(fixture: Pv, sent: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match="nan at"):
        fixture.close([float("nan")], [1.0], limit=1)
    with pytest.raises(ValueError, match="empty"):
        fixture.exact([], [1.0][:0])
    assert sent == []


def test_two_comparisons_need_two_names(fixture: Pv) -> None:
    fixture.exact(1, 1)
    with pytest.raises(ValueError, match="already recorded in this test; give each value a name of its own"):
        fixture.exact(2, 2)
