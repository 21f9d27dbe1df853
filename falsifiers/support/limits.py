"""Limits as contracts declare them: a falsifier that asks here has no number of its own to drift from its claim."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import SupportsFloat

from falsifiers.support.recorder import Recorder
from pv.load import load_file
from pv.schema.contract import Contract, Tolerance

ROOT = Path(__file__).resolve().parents[2]


def tolerance(claim: str) -> Tolerance:
    """The tolerance of 'contracts/engine/ops/cuda/cuda-machine-v2.yaml#registers': file and obligation.

    Raises:
        LookupError: there is no such obligation, or it has no tolerance.
    """
    path, _, name = claim.partition("#")
    for obligation in _contract(ROOT, path).obligations:
        if obligation.id == name and obligation.tolerance is not None:
            return obligation.tolerance
    raise LookupError(f"{path}: no obligation {name!r} with a tolerance")


def record(pv: Recorder, claim: str, name: str, value: SupportsFloat) -> None:
    """Record a value, and require what its claim declares."""
    declared = tolerance(claim)
    pv.record(name, value, limit=declared.limit, unit=declared.unit, bound=declared.bound)


@lru_cache
def _contract(root: Path, path: str) -> Contract:
    loaded = load_file(root, Path(path))
    if loaded.contract is None:
        raise LookupError(f"{path}: {loaded.findings[0].message}")
    return loaded.contract
