"""A subject whose speed is known beforehand, and a report made with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.bench.figure import Samples
from engine.bench.report import Report, Settings
from engine.bench.session import run
from engine.bench.subject import Limits, Note
from engine.bench.timer import Timer
from engine.gguf.reader import open_gguf
from engine.kv_cache import KvCache
from engine.models import load_model
from engine.models.protocol import Model
from engine.ops import load_ops
from engine.ops.protocol import F32, I64
from support import tiny_qwen2

STEP_S = 0.25
"""Of every call of the clock."""


class Ticking:
    """A clock that goes on by the same time at each look, as a timer."""

    def __init__(self) -> None:
        self.now = 0.0

    clock = "wall"

    def mark(self) -> Any:
        self.now += STEP_S
        return self.now

    def seconds(self, start: Any, end: Any) -> float:
        return float(end - start)


class Known:
    """The reference on a clock of our own: prefill and decode of any length take one tick."""

    place = "nowhere"
    chunk = 8

    def __init__(self, path: Path, name: str = "cpu f32") -> None:
        self.name = name
        self.timer: Timer = Ticking()
        self.asked: list[str] = []
        self._file = open_gguf(path)
        self._model = load_model(self._file, load_ops("reference"))

    @property
    def model(self) -> Model:
        return self._model

    def advance(self, token_ids: Sequence[int] | I64, kv_cache: KvCache) -> int:
        self.asked.append(f"{len(token_ids)} at {kv_cache.length}")
        return int(self._model.forward(token_ids, kv_cache, last_only=True)[-1].argmax())

    def array(self, shape: tuple[int, ...]) -> F32:
        self.asked.append(f"array {shape}")
        return np.ones(shape, np.float32)

    @contextmanager
    def watched(self, note: Note) -> Iterator[None]:
        note("matmul", self.timer.mark(), self.timer.mark())
        note("matmul", self.timer.mark(), self.timer.mark())
        note("rope", self.timer.mark(), self.timer.mark())
        yield

    def limits(self) -> Limits:
        self.asked.append("limits")
        return Limits(Samples((2e6, 1e6, 3e6)), Samples((4e6,)), "product of nobody")

    def facts(self) -> dict[str, Any]:
        return {
            "backend": "cpu",
            "precision": "f32",
            "place": self.place,
            "clock": "wall",
            "threads": 1,
            "instructions": None,
        }

    def release(self) -> None:
        self._file.close()


def report(folder: Path) -> Report:
    """Of one subject and two repeats; decode at 200 does not fit into the context of 128."""
    path = tiny_qwen2.write_tiny(folder / "tiny.gguf")
    settings = Settings(prompt_tokens=(4, 9), context=(0, 200, 20), new_tokens=2, repeats=2)
    subject = Known(path)
    try:
        with open_gguf(path) as file:
            return run(file, [subject], settings)
    finally:
        subject.release()
