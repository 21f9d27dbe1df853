"""Comparators: figures by hand, two arithmetics that agree, and nothing vacuous that passes."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pv import compare

FLOATS = st.floats(-1e3, 1e3).map(lambda value: 0.0 if abs(value) < 1e-100 else value)
PAIRS = st.integers(2, 12).flatmap(lambda size: st.tuples(*[st.lists(FLOATS, min_size=size, max_size=size)] * 2))


class AlwaysEqual:
    """What a subject returns that wants every comparison to hold."""

    __array_priority__ = 1e9

    def __eq__(self, other: object) -> bool:
        return True

    def __sub__(self, other: object) -> float:
        return 0.0

    __rsub__ = __sub__
    __hash__ = None  # type: ignore[assignment]

    def __float__(self) -> float:
        return 0.0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> float:
        return [1.0, 2.0][index]


class EqualFloat(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class EqualArray(np.ndarray[Any, Any]):
    def __eq__(self, other: object) -> Any:
        return np.ones(self.shape, bool)

    __hash__ = None  # type: ignore[assignment]


class EqualScalar(np.float64):
    def __eq__(self, other: object) -> Any:
        return True

    __hash__ = np.float64.__hash__


BOTH = pytest.mark.parametrize("make", [list, np.array], ids=["lists", "arrays"])


@BOTH
@pytest.mark.parametrize(
    ("metric", "value", "position"),
    [
        # |1-1|, |2.5-2|, |-4+8| over 1, 2, 8
        ("max_abs", 4.0, 2),
        ("max_rel", 0.5, 2),
        ("mean_abs", 1.5, 2),
        ("rms_abs", math.sqrt(16.25 / 3), 2),
        ("rms_rel", math.sqrt(16.25 / 69), 2),
    ],
)
def test_figures_by_hand(make: Any, metric: str, value: float, position: int) -> None:
    found = compare.measure_close(make([1.0, 2.5, -4.0]), make([1.0, 2.0, -8.0]), limit=1, metric=metric)
    assert found.value == pytest.approx(value, rel=1e-15)
    assert (found.index, found.actual, found.expected, found.count) == ((position,), -4.0, -8.0, 3)


@BOTH
def test_cosine_by_hand(make: Any) -> None:
    found = compare.measure_cosine(make([3.0, 4.0]), make([4.0, 3.0]), limit=0.9)
    assert found.value == pytest.approx(24 / 25, rel=1e-15)
    assert compare.measure_cosine(make([0.0, 0.0]), make([4.0, 3.0]), limit=0.9).value == 0
    assert compare.measure_cosine(make([-1e300, 0.0]), make([1e-300, 0.0]), limit=0.9).value == -1


@BOTH
def test_divergence_by_hand(make: Any) -> None:
    """p = (1/2, 1/2), q = (3/4, 1/4): KL(p || q) = ln(2/3)/2 + ln(2)/2."""
    rows, right = [[5.0, 5.0], [math.log(3.0), 0.0]], [[1.0, 1.0], [0.0, 0.0]]
    found = compare.measure_kl(make(rows), make(right), limit=1)
    assert found.value == pytest.approx(math.log(4 / 3) / 2, rel=1e-14)
    assert found.index[0] == 1
    assert (found.unit, found.bound) == ("nat", "at_most")


@given(PAIRS)
def test_lists_and_arrays_agree(pair: tuple[list[float], list[float]]) -> None:
    actual, expected = pair
    for metric in ("max_abs", "max_rel", "mean_abs", "rms_abs", "rms_rel"):
        if metric == "rms_rel" and not any(expected):
            continue
        one = compare.measure_close(actual, list(expected), limit=1, metric=metric)
        other = compare.measure_close(np.array(actual), np.array(expected), limit=1, metric=metric)
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert one.index == other.index
    one, other = (compare.measure_kl(*both, limit=1) for both in ((actual, expected[:]), map(np.array, pair)))
    assert one.value == pytest.approx(other.value, rel=1e-9, abs=1e-12)
    if any(expected):
        one, other = (compare.measure_cosine(*both, limit=1) for both in ((actual, expected[:]), map(np.array, pair)))
        assert one.value == pytest.approx(other.value, rel=1e-9, abs=1e-12)


def test_failure_states_value_limit_margin_worst_element_and_its_place() -> None:
    actual, expected = np.zeros((2, 3)), np.zeros((2, 3))
    actual[1, 2] = 0.25
    with pytest.raises(AssertionError) as caught:
        compare.close(actual, expected, limit=0.1, unit="logit", name="logits")
    assert str(caught.value) == (
        "logits = 0.25 logit, expected at most 0.1 (margin -150 %); worst of 6 elements at [1, 2]: 0.25, expected 0"
    )
    with pytest.raises(AssertionError, match=r"^cosine = 0, expected at least 0\.9 \(margin -100 %\); worst of 2"):
        compare.cosine([0, 1], [1, 0], limit=0.9)
    with pytest.raises(AssertionError, match=r"^elements that differ = 1 elements, .* the one element: 7, expected 6$"):
        compare.exact(7, 6)


def test_success_gives_the_measured_value() -> None:
    assert compare.close([1.0, 2.0], [1.0, 2.5], limit=0.5).margin == 0
    assert compare.exact("2 + 2 equals 4.", "2 + 2 equals 4.").count == 15
    assert compare.exact([1, 2], [1, 2]).value == 0
    assert compare.exact(np.array([True]), [True]).value == 0
    assert compare.close(np.float32(0.5), 0.5, limit=0).margin is None


REFUTED: dict[str, tuple[Any, Any]] = {
    "always equal": (AlwaysEqual(), [1.0, 2.0]),
    "list of always equal": ([AlwaysEqual(), AlwaysEqual()], [1.0, 2.0]),
    "float of its own equality": ([EqualFloat(9), 2.0], [1.0, 2.0]),
    "array of its own equality": (np.array([9.0, 9.0]).view(EqualArray), np.array([1.0, 2.0])),
    "numpy scalar of its own equality": (EqualScalar(9), 1.0),
    "masked array": (np.ma.masked_array([9.0, 2.0], mask=[True, False]), np.array([1.0, 2.0])),
    "nan": ([1.0, math.nan], [1.0, 2.0]),
    "nan in an array": (np.array([1.0, math.nan]), np.array([1.0, 2.0])),
    "infinity": ([1.0, math.inf], [1.0, 2.0]),
    "nothing": ([], [1.0, 2.0]),
    "None": (None, 1.0),
    "longer": ([1.0, 2.0, 3.0], [1.0, 2.0]),
    "broadcast to rows": (np.ones((3, 1)), np.ones((1, 3))),
    "broadcast scalar": (np.ones(3), 1.0),
    "one more axis": ([[1.0, 2.0]], [1.0, 2.0]),
    "ragged": ([[1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0, 4.0]]),
    "integers": ([1, 2], [1.0, 2.0]),
    "booleans": ([True, True], [1, 1]),
    "text": ("1.0", 1.0),
    "objects": (np.array([1.0, 2.0], dtype=object), np.array([1.0, 2.0])),
    "complex": (np.array([1 + 0j, 2]), np.array([1.0, 2.0])),
    "generator": ((value for value in (1.0, 2.0)), [1.0, 2.0]),
    "set": ({1.0, 2.0}, [1.0, 2.0]),
    "booleans among numbers": ([True, 2.0], [1.0, 2.0]),
}


@pytest.mark.parametrize(("actual", "expected"), REFUTED.values(), ids=REFUTED)
@pytest.mark.parametrize("comparator", ["close", "exact", "cosine"])
def test_unfit_actual_refutes(comparator: str, actual: Any, expected: Any) -> None:
    """Never an error: a kernel that answers with NaN is wrong, and a fault that makes it do so is caught."""
    limits = {"close": {"limit": 1e308}, "cosine": {"limit": 1e-9}, "exact": {}}
    with pytest.raises(AssertionError, match=f"^pv.{comparator}: actual: "):
        getattr(compare, comparator)(actual, expected, **limits[comparator])


UNFIT_EXPECTED: dict[str, Any] = {
    "empty list": [],
    "empty array": np.empty((0, 3)),
    "empty rows": [[], []],
    "nan": [1.0, math.nan],
    "infinity": np.array([1.0, -math.inf]),
    "always equal": AlwaysEqual(),
    "None": None,
    "ragged": [[1.0], [1.0, 2.0]],
    "objects": np.array([1.0], dtype=object),
}


@pytest.mark.parametrize("expected", UNFIT_EXPECTED.values(), ids=UNFIT_EXPECTED)
@pytest.mark.parametrize("comparator", ["close", "exact", "cosine", "kl"])
def test_unfit_expectation_is_an_error_even_beside_an_equal_actual(comparator: str, expected: Any) -> None:
    actual = expected.copy() if isinstance(expected, (list, np.ndarray)) else expected
    arguments = {} if comparator == "exact" else {"limit": 0.5}
    with pytest.raises(ValueError, match=r"^pv\.\w+: (expected|actual and expected are the same object)"):
        getattr(compare, comparator)(actual, expected, **arguments)


@pytest.mark.parametrize("limit", [math.nan, math.inf, -1e-9, "1", None, True, [1.0], 1j])
@pytest.mark.parametrize("comparator", ["close", "cosine", "kl"])
def test_limit_is_a_finite_number_of_at_least_0(comparator: str, limit: Any) -> None:
    with pytest.raises(ValueError, match=r"limit"):
        getattr(compare, comparator)([1.0, 2.0], [1.0, 2.0], limit=limit)


def test_what_cannot_fail_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limit 0 proves nothing; expected above 0 and at most 1"):
        compare.cosine([1.0, 2.0], [1.0, 2.0], limit=0)
    with pytest.raises(ValueError, match=r"limit 1\.5 proves nothing"):
        compare.cosine([1.0, 2.0], [1.0, 2.0], limit=1.5)
    with pytest.raises(ValueError, match="at least two elements"):
        compare.cosine([1.0], [2.0], limit=0.9)
    with pytest.raises(ValueError, match="not all 0"):
        compare.cosine([1.0, 2.0], [0.0, 0.0], limit=0.9)
    with pytest.raises(ValueError, match="at least two logits"):
        compare.kl([[1.0], [2.0]], [[3.0], [4.0]], limit=0.1)
    with pytest.raises(ValueError, match="has no scale"):
        compare.close([1.0], [0.0], limit=1, metric="rms_rel")
    values = [1.0, 2.0]
    with pytest.raises(ValueError, match="the same object"):
        compare.close(values, values, limit=1)
    array = np.array(values)
    with pytest.raises(ValueError, match="the same object"):
        compare.exact(array[:], array)


def test_numbers_of_the_call_may_be_one_object() -> None:
    """Small integers and literals are shared by Python; that says nothing about where they come from."""
    assert compare.exact(6, 6).value == 0
    assert compare.exact("a", "a").value == 0


def test_name_metric_and_unit_are_needed() -> None:
    with pytest.raises(ValueError, match=r"metric 'max' is not known; expected one of max_abs"):
        compare.close([1.0], [1.0], limit=1, metric="max")
    with pytest.raises(ValueError, match="needs a name and a unit"):
        compare.close([1.0], [1.0], limit=1, unit="")
    with pytest.raises(ValueError, match="needs a name"):
        compare.exact([1.0], [1.0], name=" ")


@BOTH
def test_error_without_bound_fails_under_every_limit(make: Any) -> None:
    """Relative to 0, and a difference larger than float64 can hold."""
    found = compare.measure_close(make([1e-9]), make([0.0]), limit=sys.float_info.max, metric="max_rel")
    assert (found.value, found.holds, found.recorded, found.margin) == (math.inf, False, sys.float_info.max, None)
    assert compare.measure_close(make([0.0]), make([0.0]), limit=0, metric="max_rel").holds
    for metric in ("max_abs", "mean_abs", "rms_abs", "rms_rel"):
        found = compare.measure_close(make([1.7e308]), make([-1.7e308]), limit=sys.float_info.max, metric=metric)
        assert not found.holds


@BOTH
def test_impossible_token_diverges_without_bound(make: Any) -> None:
    assert not compare.measure_kl(make([1e308, -1e308]), make([0.0, 0.0]), limit=1e300).holds
    assert compare.measure_kl(make([0.0, 1.0]), make([1e308, -1e308]), limit=2).value == pytest.approx(
        math.log(1 + math.e), rel=1e-14
    )


def test_large_integers_keep_every_bit() -> None:
    """float64 has gaps above 2**53; signed beside unsigned becomes float64 in numpy."""
    big = 2**63 - 1
    assert compare.measure_exact(big, big - 1).value == 1
    assert compare.measure_exact(np.array([big]), [big - 1]).value == 1
    assert compare.measure_exact(np.array([big]), np.array([big - 1], np.uint64)).value == 1
    for values in ([big], np.array([-big])):
        with pytest.raises(ValueError, match=r"above 2\*\*53, where float64 has gaps; use pv\.exact"):
            compare.close([1], values, limit=1)


@pytest.mark.parametrize(("actual", "expected"), [("abc", "abd"), (b"abc", b"abd"), ([1, 2, 3], [1, 2, 4])])
def test_exact_counts_and_names_the_first_difference(actual: Any, expected: Any) -> None:
    found = compare.measure_exact(actual, expected)
    assert (found.value, found.index, found.actual, found.expected) == (1, (2,), actual[2], expected[2])


def test_text_has_no_distance() -> None:
    with pytest.raises(ValueError, match=r"characters, which have no distance; use pv\.exact"):
        compare.close("a", "a", limit=1)


def test_nesting_is_bounded() -> None:
    nested: Any = 1.0
    for _ in range(40):
        nested = [nested]
    with pytest.raises(ValueError, match="nested more than 32 deep"):
        compare.exact([1.0], nested)


def test_lists_need_no_numpy() -> None:
    code = (
        "import sys\nfrom pv import compare\n"
        "compare.close([[1.0, 2.0]], [[1.0, 2.5]], limit=1)\ncompare.exact([1], [1])\n"
        "compare.cosine([1.0, 2.0], [1.0, 2.5], limit=0.5)\ncompare.kl([1.0, 2.0], [1.0, 2.5], limit=1)\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
