"""The engine under test, reached through its modules at call time, so that a seeded fault is seen."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from engine.gguf import reader
from engine.models import load_model
from engine.models.protocol import Model
from engine.ops.protocol import Ops
from falsifiers.support.recorder import Recorder

BACKENDS = ("reference", "cpu")


def ops(backend: str) -> Ops:
    """The module of a backend."""
    if backend == "reference":
        return cast("Ops", import_module("engine.ops.reference"))
    assert backend == "cpu", backend
    return cast("Ops", import_module("engine.ops.cpu"))


def model(path: Path, backend: str) -> Model:
    return load_model(reader.open_gguf(path), ops(backend))


def ran_on(pv: Recorder, used: Ops) -> None:
    """State where the operations ran; both backends are processor code."""
    pv.ran_on({"target": "cpu", "backend": used.name, "precision": used.precision, "threads": used.threads()})
