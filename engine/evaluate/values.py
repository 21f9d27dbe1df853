"""Values that cross between processes: plain data of exactly the builtin types, as JSON.

    JSON              value                    JSON            value
    null true false   None, bool               {"t": [...]}    tuple
    "text"            str                      {"s": [...]}    set
    [...]             list                     {"z": [...]}    frozenset
    {"i": "-0x1f"}    int                      {"d": [[k, v]]} dict
    {"f": "0x1p-3"}   float, also inf, nan     {"b": "00ff"}   bytes
    {"c": [re, im]}   complex

An instance of any other class, a subclass of these included, does not cross: its `__eq__` could say anything.
Standard library only, because the boxes import it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

MAX_DEPTH: Final = 100

_GROUPS: Final[dict[type, str]] = {tuple: "t", set: "s", frozenset: "z"}
_SCALARS: Final[dict[str, Callable[[str], object]]] = {
    "i": lambda text: int(text, 16),
    "f": float.fromhex,
    "b": bytes.fromhex,
}


class PlainValueError(Exception):
    """A value is not plain data, or what claims to be one is malformed."""


def encode(value: object, depth: int = MAX_DEPTH) -> Any:
    """The JSON form.

    Raises:
        PlainValueError: another type, or nested deeper than MAX_DEPTH.
    """
    kind = type(value)
    if depth < 0:
        raise PlainValueError(f"value is nested more than {MAX_DEPTH} deep")
    if value is None or kind is bool or kind is str:
        return value
    below = depth - 1
    if kind is int:
        return {"i": hex(value)}  # type: ignore[arg-type]
    if kind is float:
        return {"f": value.hex()}  # type: ignore[attr-defined]
    if kind is bytes:
        return {"b": value.hex()}  # type: ignore[attr-defined]
    if kind is complex:
        return {"c": [encode(value.real), encode(value.imag)]}  # type: ignore[attr-defined]
    if kind is list:
        return [encode(item, below) for item in value]  # type: ignore[attr-defined]
    if kind in _GROUPS:
        return {_GROUPS[kind]: [encode(item, below) for item in value]}  # type: ignore[attr-defined]
    if kind is dict:
        return {"d": [[encode(key, below), encode(item, below)] for key, item in value.items()]}  # type: ignore[attr-defined]
    raise PlainValueError(f"value of type {kind.__name__!r} is not plain data")


def decode(data: Any, depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON form.

    Raises:
        PlainValueError: this is no such form.
    """
    if depth < 0:
        raise PlainValueError(f"value is nested more than {MAX_DEPTH} deep")
    if data is None or isinstance(data, bool | str):
        return data
    if isinstance(data, list):
        return [decode(item, depth - 1) for item in data]
    if not isinstance(data, dict) or len(data) != 1:
        raise PlainValueError("malformed value")
    ((tag, body),) = data.items()
    try:
        if tag in _SCALARS:
            return _SCALARS[tag](body)
        if tag == "c":
            real, imaginary = (decode(part) for part in body)
            return complex(real, imaginary)
        if tag == "d":
            return {decode(key, depth - 1): decode(item, depth - 1) for key, item in body}
        for kind, name in _GROUPS.items():
            if tag == name:
                return kind(decode(item, depth - 1) for item in body)
    except (TypeError, ValueError, OverflowError) as err:
        raise PlainValueError("malformed value") from err
    raise PlainValueError(f"unknown kind of value {tag!r}")


def same(one: Any, other: Any) -> bool:
    """Equal in value and in every type inside: True is not 1, 1 is not 1.0, and NaN equals nothing."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        keys = {key: key for key in other}
        return len(one) == len(other) and all(
            key in keys and same(key, keys[key]) and same(item, other[key]) for key, item in one.items()
        )
    if isinstance(one, set | frozenset):
        keys = {key: key for key in other}
        return len(one) == len(other) and all(key in keys and same(key, keys[key]) for key in one)
    return bool(one == other)
