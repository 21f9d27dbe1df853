"""The base model and the scalar types of contract files.

Contract YAML is typed here, never by YAML's own resolution: the loader hands over text, and the field decides.
A loader scalar is a `str`; values built in Python may already have their own type.
"""

from __future__ import annotations

import math
import re
import sys
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

# A decimal number as people write tolerances: 1e-3, 0.5, 10. Leading zeros, underscores, hexadecimal,
# sexagesimal, .inf and .nan are refused because YAML 1.1 and 1.2 readers disagree about each of them.
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")


class Model(BaseModel):
    """Closed and immutable: an unknown key is an error at every level."""

    # Deferred: a command builds the validators of what it reads, and of nothing else.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)

    def model_post_init(self, _context: Any) -> None:
        # pydantic keeps a set of the given keys with every object, a third of a contract's memory; few are different.
        given = self.__pydantic_fields_set__
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))


_GIVEN: dict[frozenset[str], set[str]] = {}
"""One set for all objects with the same keys; pydantic copies it before it changes one."""


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("expected a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(f"expected a decimal number such as 1.0e-3, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {value!r}")
    return number


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("expected an integer")
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise ValueError(f"expected an integer of at most 18 digits, got {value[:40]!r}")
    return int(value)


def _boolean(value: Any) -> bool:
    if value in ("true", "false"):
        return bool(value == "true")
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, got {value!r}")


def _date(value: Any) -> date:
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(f"expected a date such as 2027-01-31, got {value!r}")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"no such day in the calendar: {value!r}") from None


_OFTEN_REPEATED = 64
"""Characters: ids, node ids, units and metrics recur within a contract and all over a catalog; sentences do not."""


def as_text(value: Any) -> str:
    """Not empty and not blank."""
    if not isinstance(value, str):
        raise ValueError("expected text")
    if not value.strip():
        raise ValueError("expected text, got nothing")
    return sys.intern(value) if type(value) is str and len(value) <= _OFTEN_REPEATED else str(value)


Number = Annotated[float, BeforeValidator(_number)]
Integer = Annotated[int, BeforeValidator(_integer)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Date = Annotated[date, BeforeValidator(_date)]
Text = Annotated[str, BeforeValidator(as_text)]

# Constraints before the validator: pydantic then keeps them in the JSON Schema.
_AsText = BeforeValidator(as_text)

SlugId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:[-_./][a-z0-9]+)*$", max_length=128), _AsText]
"""Lower-case words joined by one of - _ . / (contracts, equations, obligations)."""

FalsifierId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]+(?:[-_./][A-Za-z0-9]+)*$", max_length=128), _AsText
]

SemVer = Annotated[
    str, StringConstraints(pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$", max_length=64), _AsText
]

FaultRef = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=256), _AsText
]
"""`package.module:function`, a context manager without required arguments."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"), _AsText]
