"""Subjects on the CPU: the operations of one precision, under a model that several subjects share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from engine.bench.figure import Samples
from engine.bench.subject import SEED, Limits, Note
from engine.bench.timer import Timer
from engine.generate import PREFILL_CHUNK, prefill
from engine.gguf.reader import GgufFile
from engine.kv_cache import KvCache
from engine.models import kv_type, load_model
from engine.models.protocol import Model
from engine.ops import load_ops
from engine.ops.protocol import F32, I64, Ops, Weight

_PRODUCT_SIZE = 2048
_limits: dict[tuple[str, int, str], Limits] = {}


class Watched:
    """Operations that take a mark before and behind each call; products are named by their type of weight too."""

    def __init__(self, ops: Ops, timer: Timer, note: Note) -> None:
        self._ops, self._timer, self._note = ops, timer, note

    def __getattr__(self, name: str) -> Any:
        if name == "one_token":  # operation by operation, not all at once
            raise AttributeError(name)
        found = getattr(self._ops, name)
        if not callable(found) or name == "threads":
            return found

        def noted(*arguments: Any, **named: Any) -> Any:
            start = self._timer.mark()
            result = found(*arguments, **named)
            end = self._timer.mark()
            weights = [argument.type.name for argument in arguments if isinstance(argument, Weight)]
            self._note(" ".join([name, *weights]), start, end)
            return result

        return noted


class HostSubject:
    """See `engine.bench.subject.Subject`."""

    place = "cpu"
    chunk = PREFILL_CHUNK

    def __init__(self, backend: str, precision: str, shared: Model, ops: Ops, timer: Timer) -> None:
        self.name = f"{backend} {precision}"
        self.timer = timer
        self.ops = ops
        self._model = shared
        self._backend, self._precision = backend, precision
        self.kv_type = kv_type(backend, precision)
        self._rng = np.random.default_rng(SEED)

    @property
    def model(self) -> Model:
        self._model.ops = self.ops
        return self._model

    def advance(self, token_ids: Sequence[int] | I64, kv_cache: KvCache) -> int:
        return int(prefill(self.model, token_ids, kv_cache)[-1].argmax())  # type: ignore[arg-type] # or an array

    def array(self, shape: tuple[int, ...]) -> F32:
        return self._rng.standard_normal(shape, dtype=np.float32)

    @contextmanager
    def watched(self, note: Note) -> Iterator[None]:
        plain, self.ops = self.ops, cast("Ops", Watched(self.ops, self.timer, note))
        try:
            yield
        finally:
            self.ops = plain

    def limits(self) -> Limits:
        from engine.ops.cpu.bandwidth import read_bandwidth

        key = (self.place, self.ops.threads(), self.timer.clock)
        if key not in _limits:
            read = Samples(tuple(read_bandwidth(self.ops.threads(), clock=self.timer.mark)))
            _limits[key] = Limits(read, _product(self.timer), "float32 product by BLAS, all cores")
        return _limits[key]

    def facts(self) -> dict[str, Any]:
        return {
            "backend": self._backend,
            "precision": self._precision,
            "place": self.place,
            "clock": self.timer.clock,
            "threads": self.ops.threads(),
            "instructions": getattr(getattr(self.ops, "isa", None), "label", None),
        }

    def release(self) -> None:
        """Nothing is held but arrays."""


def _product(timer: Timer) -> Samples:
    a, b = (np.random.default_rng(SEED).standard_normal((_PRODUCT_SIZE,) * 2, dtype=np.float32) for _ in range(2))
    found = []
    for _ in range(4):
        start = timer.mark()
        a @ b
        found.append(2 * _PRODUCT_SIZE**3 / timer.seconds(start, timer.mark()))
    return Samples(tuple(found[1:]))


def subjects(file: GgufFile, asked: Sequence[tuple[str, str]], threads: int | None, timer: Timer) -> list[HostSubject]:
    """One for each (backend, precision), all on one model; integer precisions share their weights.

    Raises:
        EngineError: the model is not supported, or a backend, precision or number of threads is not available.
    """
    found: list[HostSubject] = []
    shared: Model | None = None
    integer: Ops | None = None
    for backend, precision in asked:
        ops = load_ops("reference") if backend == "reference" else _cpu(precision, threads, integer)
        if precision != "f32":
            integer = ops
        shared = shared or load_model(file, ops)
        found.append(HostSubject(backend, precision, shared, ops, timer))
    return found


def _cpu(precision: str, threads: int | None, share: Ops | None) -> Ops:
    from engine.ops.cpu.integer import IntegerOps
    from engine.ops.cpu.precisions import ops_for

    if precision != "f32" and isinstance(share, IntegerOps):
        return cast("Ops", IntegerOps(precision, threads, share=share))
    return ops_for(precision, threads)
