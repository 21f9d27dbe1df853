"""Backends by name. Each is a module that satisfies `engine.ops.protocol.Ops` and is imported when first asked for."""

from __future__ import annotations

import importlib
from typing import cast

from engine.errors import BackendError
from engine.ops.protocol import F32, I64, U8, Ops, Weight

__all__ = ["BACKENDS", "F32", "I64", "U8", "Ops", "Weight", "load_ops"]

BACKENDS: dict[str, str] = {
    "cpu": "engine.ops.cpu",
    "cuda": "engine.ops.cuda",
    "reference": "engine.ops.reference",
}


def load_ops(backend: str) -> Ops:
    """The module of one backend.

    Raises:
        BackendError: there is no such backend, or its module cannot be imported here. Nothing is tried instead.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend {backend!r} is not in this version; available: {', '.join(sorted(BACKENDS))}")
    try:
        return cast("Ops", importlib.import_module(BACKENDS[backend]))
    except ImportError as err:
        raise BackendError(f"backend {backend!r} cannot start: {err}") from err
