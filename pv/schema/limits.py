"""The limit that a contract states, against the limits that a test measured."""

from __future__ import annotations

from collections.abc import Sequence

from pv.schema.contract import Tolerance
from pv.schema.evidence import Value


def difference(tolerance: Tolerance, values: Sequence[Value]) -> str:
    """What the values have instead of the tolerance's limit; empty if they have it.

    The values of the tolerance's metric must have its limit, unit and direction; where none has that name, some value
    must have the same limit and direction.
    """
    limited = [value for value in values if value.limit is not None]
    named = [value for value in limited if value.name == tolerance.metric]
    for value in named:
        if (value.limit, value.bound) != (tolerance.limit, tolerance.bound):
            return f"measures {value.name!r} against {shown(value.bound, value.limit)}"
        if value.unit != tolerance.unit:
            return f"measures {value.name!r} in {value.unit!r} and not in {tolerance.unit!r}"
    if named or any((value.limit, value.bound) == (tolerance.limit, tolerance.bound) for value in limited):
        return ""
    said = ", ".join(f"{value.name!r} {shown(value.bound, value.limit)}" for value in limited[:3])
    return f"measures {said or 'nothing against a limit'}"


def shown(bound: str, limit: float | None) -> str:
    return f"{'at least' if bound == 'at_least' else 'at most'} {limit!r}"
