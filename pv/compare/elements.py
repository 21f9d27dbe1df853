"""Reading what is compared: by exact type, into a shape, a kind and one flat sequence of plain values."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_MAX_DEPTH = 32
_KINDS = {"f": "floats", "i": "integers", "u": "integers", "b": "booleans"}
_PLAIN = {float: "floats", int: "integers", bool: "booleans"}
_SUPPORTED = "a number, text, bytes, a list of numbers or a numpy array"

LARGEST_EXACT_INTEGER = 2**53
"""Above it float64 has gaps, in which a difference would vanish."""


class Unfit(Exception):  # noqa: N818 - its reader decides whose fault it is
    """The value cannot be compared."""


@dataclass(frozen=True, slots=True)
class Elements:
    shape: tuple[int, ...]
    kind: str
    """floats, integers, booleans, characters or bytes."""
    flat: Any
    """A list of plain values, text, bytes, or a numpy array of one dimension."""

    @property
    def count(self) -> int:
        return len(self.flat)

    @property
    def is_array(self) -> bool:
        return hasattr(self.flat, "dtype")

    def at(self, position: int) -> Any:
        """One element as a plain Python value."""
        value = self.flat[position]
        return value.item() if hasattr(value, "item") else value

    def index(self, position: int) -> tuple[int, ...]:
        """Place of a flat position, last axis fastest."""
        found = []
        for size in reversed(self.shape):
            position, rest = divmod(position, size)
            found.append(rest)
        return tuple(reversed(found))

    def first_not_finite(self) -> int | None:
        if self.kind != "floats":
            return None
        if self.is_array:
            wrong = sys.modules["numpy"].flatnonzero(~sys.modules["numpy"].isfinite(self.flat))
            return int(wrong[0]) if len(wrong) else None
        return next((position for position, value in enumerate(self.flat) if not math.isfinite(value)), None)


def read(value: object) -> Elements:
    """
    Raises:
        Unfit: it is not made of numbers, text or bytes, or its rows differ in length.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(value) in (numpy.ndarray, numpy.memmap):
        return _from_array(value)
    kind = type(value)
    if kind is str:
        return Elements((len(str(value)),), "characters", value)
    if isinstance(value, bytes) and kind is bytes:
        return Elements((len(value),), "bytes", value)
    if kind in (list, tuple):
        shape, flat = _flatten(value, 0)
        return Elements(shape, _common_kind(flat), flat)
    plain = _scalar(value)
    return Elements((), _PLAIN[type(plain)], [plain])


def is_same_memory(one: object, other: object) -> bool:
    """Whether two containers are one, so that comparing them says nothing."""
    if one is other:
        return not isinstance(one, (str, bytes, int, float))
    numpy = sys.modules.get("numpy")
    if numpy is None or not (isinstance(one, numpy.ndarray) and isinstance(other, numpy.ndarray)):
        return False
    places = [(array.__array_interface__["data"][0], array.strides, array.shape) for array in (one, other)]
    return places[0] == places[1] and bool(one.size)


def _from_array(array: Any) -> Elements:
    kind = _KINDS.get(array.dtype.kind)
    if kind is None or array.dtype.itemsize > 8:
        raise Unfit(f"an array of {array.dtype}; supported are booleans, integers and floats of up to 64 bits")
    return Elements(tuple(array.shape), kind, array.reshape(-1))


def _scalar(value: object) -> float | int | bool:
    if type(value) in _PLAIN:
        return value  # type: ignore[return-value]  # the exact types above
    numpy = sys.modules.get("numpy")
    # A class derived from one of numpy's has that one's dtype, and may have an equality of its own.
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.type is type(value):
        return _from_array(numpy.asarray(value)).at(0)  # type: ignore[no-any-return]
    raise Unfit(f"{type(value).__name__} is not supported; give {_SUPPORTED}")


def _flatten(value: Any, depth: int) -> tuple[tuple[int, ...], list[Any]]:
    if depth == _MAX_DEPTH:
        raise Unfit(f"nested more than {_MAX_DEPTH} deep")
    parts = list(_parts(value, depth))
    shapes = {shape for shape, _ in parts}
    if len(shapes) > 1:
        raise Unfit(f"rows of different shapes: {' and '.join(str(list(shape)) for shape in sorted(shapes)[:2])}")
    return (len(parts), *(shapes.pop() if shapes else ())), [item for _, flat in parts for item in flat]


def _parts(value: Any, depth: int) -> Iterator[tuple[tuple[int, ...], list[Any]]]:
    for item in value:
        yield _flatten(item, depth + 1) if type(item) in (list, tuple) else ((), [_scalar(item)])


def _common_kind(flat: Sequence[object]) -> str:
    kinds = {_PLAIN[type(item)] for item in flat}
    if "booleans" in kinds and len(kinds) > 1:
        raise Unfit("booleans among numbers")
    return "floats" if "floats" in kinds else next(iter(kinds), "floats")
