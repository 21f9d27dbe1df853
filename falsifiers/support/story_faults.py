"""The mistakes of the story of README, planted again: each of them once passed for a finding.

Each is a context manager without arguments that replaces one function of the engine, or of what measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

Seeded = AbstractContextManager[Any]


def gate_is_not_asked() -> Seeded:
    """Loading on a device goes on without a comparison."""
    from engine.models import parity_gate

    def unasked(*_: Any, **__: Any) -> list[Any]:
        return []

    return mock.patch.object(parity_gate, "require", unasked)


def gate_probes_one_token() -> Seeded:
    """The gate looks at the first token of the answer and at no decode step."""
    from engine.models import parity_gate

    original = parity_gate.require

    def probe(*arguments: Any, **options: Any) -> Any:
        return original(*arguments, **{**options, "steps": 0})

    return mock.patch.object(parity_gate, "require", probe)


def gate_asks_for_the_bits() -> Seeded:
    """The gate allows no error, although the precision of the device rounds."""
    return _limits(error=0.0)


def gate_rejects_near_ties() -> Seeded:
    """The gate asks for the same token, however close the two are."""
    return _limits(lost=0.0)


def _limits(**changed: float) -> Seeded:
    from engine.models.parity_gate import Limits

    original = Limits.of

    def strict(rounding: Sequence[Any]) -> Limits:
        return replace(original(rounding), **changed)

    return mock.patch.object(Limits, "of", strict)
