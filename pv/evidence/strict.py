"""JSON with one spelling for one value, and nothing else accepted back."""

from __future__ import annotations

import json
from typing import Any, Final


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, one line; NaN and infinities are refused."""
    return _ENCODER.encode(value).encode("utf-8") + b"\n"


def strict_json(data: bytes) -> Any:
    """The value of one JSON document.

    Raises:
        ValueError: not UTF-8, a byte order mark, a key that stands twice, NaN or a number out of range, trailing data.
    """
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("it starts with a byte order mark (BOM)")
        return _DECODER.decode(text)
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is out of range")
    return number


# Made once: a store has thousands of records and lines, and making one takes as long as reading a line.
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
