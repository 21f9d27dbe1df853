"""The fast precisions: activations as integers, one object per precision and number of threads.

    q8     8-bit activations: about 7e-3 of the result's rms, as llama.cpp computes
    q16    16-bit activations in two bytes: about 3e-5

Weights of the types in `engine.ops.cpu.interleave` are rearranged when first used and their pages in the mapped file
given back, so that one copy is resident. Other types, and everything that is not a matrix, run as in
`engine.ops.cpu`, in float32.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.errors import BackendError, ShapeError
from engine.gguf.types import GgmlType
from engine.ops import cpu
from engine.ops.cpu import floats, interleave, products, rows
from engine.ops.cpu.allocator import keep_freed_memory
from engine.ops.cpu.arena import Arena
from engine.ops.cpu.footprint import release_compiler
from engine.ops.cpu.interleave import Interleaved, Release
from engine.ops.cpu.isa import Isa, choose, cores
from engine.ops.cpu.machine_code import Kernel, kernel, load
from engine.ops.cpu.pool import KERNELS as POOL
from engine.ops.cpu.pool import shared
from engine.ops.cpu.products import Products
from engine.ops.cpu.recording import Recording, Step
from engine.ops.cpu.runner import Runner, addresses
from engine.ops.protocol import F32, I64, Forward, KeyValueStore, Weight
from engine.ops.rotary import PLAIN, Rotary

PLANES = {"q8": 1, "q16": 2}

# Of every model.
_KERNELS: list[Kernel] = [
    *(("interleave",), ("quantise",), ("offsets",), ("digits",), ("series",), ("swiglu",)),
    *(("embedding",), ("add",), ("norm",), ("angles",), ("turn",), ("append",)),
]
# With each row of the mapped file the kernel maps 64 KiB around it, or as much as 2 MiB.
_ROWS_AT_ONCE = 8
# Giving pages back takes 40 us, which is nothing beside a step of a model whose embedding is larger than this.
_MAPPED_BYTES = 4 << 20


def _nothing() -> None:
    """Give back the rows of an embedding that may stay."""


class IntegerOps:
    """Satisfies `engine.ops.protocol.Ops`; keeps the rearranged weights, so make one per model."""

    name = "cpu"

    def __init__(
        self, precision: str, threads: int | None = None, *, isa: Isa | None = None, share: IntegerOps | None = None
    ) -> None:
        """Choose what runs.

        Args:
            precision: q8 or q16.
            threads: default one per core.
            isa: default the fastest that this processor has.
            share: use the weights that this other one has rearranged, and add to them.

        Raises:
            BackendError: no such precision, or Q4K_ISA names no instruction set of this processor.
        """
        if precision not in PLANES:
            raise BackendError(f"precision {precision!r} is not one of {', '.join(PLANES)}")
        self.precision = precision
        self.isa: Isa = isa if isa is not None else share.isa if share else choose()
        self._planes = PLANES[precision]
        self.pool = shared(cores() if threads is None else threads)
        # The Weight is kept with its rearranged form: an address in memory names it only as long as it lives.
        self._plans: dict[tuple[int, ...], Products] = {}
        self._one_plan_at_a_time = threading.Lock()
        self._steps: weakref.WeakKeyDictionary[KeyValueStore, Step] = weakref.WeakKeyDictionary()
        self._local = threading.local()
        self._weights: dict[int, tuple[Weight, Interleaved]] = share._weights if share else {}
        self._arena: Arena = share._arena if share else Arena()
        self._release_rows: Callable[[], None] = _nothing

    def threads(self) -> int:
        """Threads that share one matrix."""
        return self.pool.threads

    @property
    def resident_bytes(self) -> int:
        """Bytes of rearranged weights."""
        return sum(packed.data.nbytes for _, packed in self._weights.values())

    def slow_types(self, types: frozenset[GgmlType]) -> tuple[GgmlType, ...]:
        """Those of a model's weight types that have no kernel here and are decoded by numpy; for the run record."""
        return tuple(sorted(types - interleave.TYPES - floats.KERNEL_TYPES))

    def prepare(self, types: frozenset[GgmlType]) -> None:
        """Load the kernels of a model's weight types now, and give back the memory that this took."""
        kinds = types & interleave.TYPES
        needed = [kernel for kind in kinds for kernel in products.kernels(kind, self._planes, self.isa)]
        # every model has vectors of float32, few have matrices
        if types & floats.KERNEL_TYPES - interleave.TYPES - {GgmlType.F32}:
            needed.append(("float_product",))
        load(*needed, *_KERNELS, *floats.ATTENTION, *POOL)
        release_compiler()
        keep_freed_memory()

    def load(self, weight: Weight) -> None:
        """Rearrange a weight now rather than when it is first used."""
        if weight.type in interleave.TYPES:
            self._packed(weight)

    def matmul(self, x: F32, weight: Weight) -> F32:
        """x (T, K) times the transpose of `weight` (N, K): (T, N).

        Raises:
            ShapeError: the rows of x and of the weight differ in length.
        """
        if weight.type not in interleave.TYPES:
            return floats.matmul(self._runner_for(weight), x, weight)
        return self._products(x, (weight,))[0]

    def multiply_all(self, x: F32, weights: Sequence[Weight]) -> Sequence[F32]:
        """As `engine.ops.fused.multiply_all`: x is quantised once, the threads meet once.

        Raises:
            ShapeError: the rows of x and of a weight differ in length.
        """
        if any(weight.type not in interleave.TYPES for weight in weights):
            return [self.matmul(x, weight) for weight in weights]
        return self._products(x, weights)

    def gated_product(self, x: F32, gate: Weight, up: Weight) -> tuple[F32, F32, F32]:
        """As `engine.ops.fused.gated_product`.

        Raises:
            ShapeError: the rows of x and of a weight differ in length.
        """
        left, right = self.multiply_all(x, (gate, up))
        return left, right, self.swiglu(left, right)

    def _products(self, x: F32, weights: Sequence[Weight]) -> list[F32]:
        tokens = x.shape[0]
        for weight in weights:
            if x.shape[1] != weight.shape[1]:
                lengths = f"rows have {weight.shape[1]} weights, the activation has {x.shape[1]} values"
                raise ShapeError(f"{weight.name}: {lengths}")
        if not tokens * sum(weight.shape[0] for weight in weights):
            return [np.empty((tokens, weight.shape[0]), np.float32) for weight in weights]
        if tokens > 1 or self._recording:
            return self._planned(weights, tokens).run(self._runner, x)
        key = tuple(map(id, weights))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._planned(weights, 1)
        with self._one_plan_at_a_time:
            return plan.run(self.pool, x)

    def _planned(self, weights: Sequence[Weight], tokens: int) -> Products:
        return Products([self._packed(weight) for weight in weights], tokens, self._planes, self.isa, self.pool.threads)

    def _packed(self, weight: Weight) -> Interleaved:
        found = self._weights.get(id(weight))
        if found is None:
            found = self._weights[id(weight)] = (
                weight,
                interleave.interleave(weight, self.isa.lanes, self.pool.threads, self._arena),
            )
        return found[1]

    def embedding(self, weight: Weight, token_ids: I64) -> F32:
        """As `engine.ops.cpu.embedding`: rows of the mapped file, exact; those of a large one do not stay.

        Raises:
            ShapeError: a token id outside the vocabulary.
        """
        runner = self._runner_for(weight)
        if weight.type not in floats.KERNEL_TYPES:
            return cpu.embedding(weight, token_ids)
        if weight.data.nbytes > _MAPPED_BYTES:
            self._release_rows = functools.partial(Release(weight.data), 0, weight.data.nbytes)
        found = []
        for start in range(0, max(1, len(token_ids)), _ROWS_AT_ONCE):
            found.append(rows.embedding(runner, weight, token_ids[start : start + _ROWS_AT_ONCE]))
            self._release_rows()
        return found[0] if len(found) == 1 else np.concatenate(found)

    def add_bias(self, x: F32, bias: F32) -> F32:
        """As `engine.ops.cpu.add_bias`."""
        return rows.add(self._runner, np.ascontiguousarray(x), np.ascontiguousarray(bias))

    def add(self, x: F32, y: F32) -> F32:
        """As `engine.ops.cpu.add`."""
        return rows.add(self._runner, np.ascontiguousarray(x), np.ascontiguousarray(y))

    def rms_norm(self, x: F32, weight: F32, *, eps: float) -> F32:
        """As `engine.ops.cpu.rms_norm`."""
        return rows.rms_norm(self._runner, np.ascontiguousarray(x), np.ascontiguousarray(weight), eps)

    def rope(self, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32:
        """As `engine.ops.cpu.rope`; the cosines of one forward are worked out once.

        Raises:
            ShapeError: Dh is odd, or positions does not have T entries, or `rotary` is for another Dh.
        """
        rows.check_rope(x, positions)
        size = x.shape[2]
        angles: rows.Angles | None = getattr(self._local, "angles", None)
        if angles is None or not angles.fits(positions, size, theta, rotary):
            angles = self._local.angles = rows.Angles(self._runner, positions, size, theta, rotary)
        return angles.turn(self._runner, np.ascontiguousarray(x))

    def rope_append(
        self,
        q: F32,
        k: F32,
        v: F32,
        positions: I64,
        kv_cache: KeyValueStore,
        layer: int,
        *,
        theta: float,
        rotary: Rotary = PLAIN,
    ) -> tuple[F32, F32]:
        """As `engine.ops.fused.rope_append`.

        Raises:
            ShapeError: Dh is odd, positions does not have T entries, or k and v do not fit the cache.
            ContextError: the cache has no room for T more positions.
        """
        q, k = (self.rope(x, positions, theta=theta, rotary=rotary) for x in (q, k))
        kv_cache.append(layer, k, v)
        recording = self._recording
        if recording is not None:
            keys, values = kv_cache.view(layer)
            job, words = rows.append_job(k, v, keys, values, positions)
            recording.note(job, words, 1, reads=(k, v, positions), keeps=(keys, values))
        return q, k

    def attention(self, q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32:
        """As `engine.ops.cpu.attention`, to the bit.

        Raises:
            ShapeError: H is not a multiple of Hkv, or a query's own position is not in the cache.
        """
        recording = self._recording
        if recording is not None:
            # the job is noted for as many positions as its memory will ever hold
            k, v = (as_strided(x, (recording.capacity, *x.shape[1:])) for x in (k, v))
        return floats.attention(self._runner, q, k, v, positions, window)

    def swiglu(self, gate: F32, up: F32) -> F32:
        """SiLU of gate (T, F) times up (T, F); the exponential is within 3 units in the last place."""
        gate, up = np.ascontiguousarray(gate), np.ascontiguousarray(up)
        out = np.empty_like(gate)
        parts = floats.parts_of(self.pool, gate.size, gate.size)
        words = np.array([*addresses(gate, up, out), gate.size, parts], np.int64)
        self._runner.run(kernel("swiglu"), words, parts, reads=(gate, up), makes=(out,))
        return out

    def one_token(self, forward: Forward, ids: I64, positions: I64, kv_cache: KeyValueStore) -> F32:
        """As `engine.ops.fused.one_token`: noted the first time, and run again from then on."""
        step = self._steps.get(kv_cache)
        if step is not None and step.fits(forward, int(ids[0]), kv_cache):
            logits = step.run(int(ids[0]), kv_cache)
            self._release_rows()
            return logits
        room = kv_cache.room(1)
        recording = Recording(self.pool, (ids, positions), room)
        self._local.angles, self._local.recording = None, recording
        try:
            logits = forward(ids, positions, kv_cache)
        finally:
            self._local.angles = self._local.recording = None
        step = recording.step(forward, ids, positions, kv_cache, logits)
        if step is None:
            return logits
        self._steps[kv_cache] = step
        return logits.copy()  # its memory is the next step's

    def _runner_for(self, weight: Weight) -> Runner:
        """For something that is no job where numpy decodes the weight."""
        if self._recording and weight.type not in floats.KERNEL_TYPES:
            self._recording.give_up()
            return self.pool
        return self._runner

    @property
    def _recording(self) -> Recording | None:
        return getattr(self._local, "recording", None)

    @property
    def _runner(self) -> Runner:
        return self._recording or self.pool
