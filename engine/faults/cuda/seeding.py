"""Putting a fault into the CUDA backend, where its launchers look things up, or into what a kernel is given.

They work on a GPU and under the interpreter alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from engine.faults.seeding import Seeded, Wrong, seeded

__all__ = ["Arguments", "Seeded", "launched_with", "module", "replaced", "seeded"]

Arguments = Mapping[str, Any]
"""Of one launch, by name."""


def module(name: str) -> Any:
    """One of the backend's modules; torch and triton are imported only now."""
    return import_module(f"engine.ops.cuda.{name}")


def replaced(place: str, name: str, wrong: Wrong) -> Seeded:
    """`wrong(original, *arguments)` in place of a function of the backend."""
    return seeded((module(place), name, wrong))


def launched_with(change: Callable[[Arguments], Arguments], *kernels: str) -> Seeded:
    """Kernels of these names get other arguments: those that `change` gives, beside the rest."""

    def wrong(run: Any, launched: Any) -> None:
        if launched.name in kernels:
            launched = replace(launched, arguments={**launched.arguments, **change(launched.arguments)})
        run(launched)

    return replaced("launch", "_runner", wrong)
