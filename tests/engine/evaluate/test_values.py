"""What crosses between processes, and what counts as equal. Expected values by hand from the table in `values`."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from enum import IntEnum
from typing import Any

import pytest

from engine.evaluate.values import PlainValueError, decode, encode, same


class Sly(int):
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


Point = namedtuple("Point", "x y")
Colour = IntEnum("Colour", "RED")

PLAIN = [
    None, True, 0, -31, 2**4000, 0.125, -0.0, math.inf, "", "ü\ud800", b"\x00\xff", 1 + 2j, [], (), set(), {},
    [1, [2, (3, {4: {"five": {6.0}}})]], frozenset({(1, "a")}), {(1, 2): [3], None: 4},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:40])
def test_plain_values_come_back_with_every_type(value: Any):
    back = decode(json.loads(json.dumps(encode(value))))
    assert same(back, value)
    assert repr(back) == repr(value) if not isinstance(value, int) else back == value


def test_the_written_form():
    assert encode((1, -31, 0.125, {"k": b"\xff"}, {None})) == {
        "t": [{"i": "0x1"}, {"i": "-0x1f"}, {"f": "0x1.0000000000000p-3"}, {"d": [["k", {"b": "ff"}]]}, {"s": [None]}]
    }


@pytest.mark.parametrize(
    "value",
    [Sly(1), [Sly(1)], {Sly(1): 2}, Point(1, 2), Colour(1), OrderedDict(), range(3), len, object(), iter([])],
    ids=lambda value: type(value).__name__,
)
def test_other_types_do_not_cross(value: object):
    with pytest.raises(PlainValueError, match="is not plain data"):
        encode(value)


def test_too_deep_does_not_cross():
    value: list[Any] = []
    for _ in range(101):
        value = [value]
    with pytest.raises(PlainValueError, match="more than 100 deep"):
        encode(value)
    with pytest.raises(PlainValueError, match="more than 100 deep"):
        decode(value)


@pytest.mark.parametrize(
    "data",
    [1, 1.5, {}, {"i": "x"}, {"i": 5}, {"f": "y"}, {"b": "0"}, {"c": [1]}, {"d": [[1]]}, {"d": 5}, {"s": [[]]},
     {"q": 1}, {"i": "1", "f": "1"}, {"d": [[[], None]]}, {"t": None}, {"i": None}],
    ids=repr,
)  # fmt: skip
def test_malformed_forms_are_refused(data: Any):
    with pytest.raises(PlainValueError):
        decode(data)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), (0, False), ([1], (1,)), ([1], [True]), ({1: 2}, {True: 2}), ({1: 2}, {1: 2.0}),
     ({1}, {True}), ({1}, frozenset({1})), ("1", 1), (None, False), (math.nan, math.nan), ([1, 2], [1]),
     ({1: 1}, {1: 1, 2: 2}),
     ({1, 2}, {1}), (b"a", "a"), ((1, (2, 3)), (1, (2, 3.0)))],
    ids=repr,
)  # fmt: skip
def test_not_the_same(one: object, other: object):
    assert not same(one, other)
    assert not same(other, one)


def test_the_same():
    assert same({"a": [1, (2.5, None)], 3: {4}}, {3: {4}, "a": [1, (2.5, None)]})
    assert same(0.0, -0.0)
