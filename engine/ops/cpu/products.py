"""Products of one activation with one weight or several, in integers: one handover to the pool for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.gguf.types import GgmlType, layout
from engine.ops.cpu import activations
from engine.ops.cpu.interleave import Interleaved
from engine.ops.cpu.isa import Isa
from engine.ops.cpu.machine_code import Kernel, kernel
from engine.ops.cpu.runner import Runner
from engine.ops.cpu.shapes import TILE, sum_planes
from engine.ops.protocol import F32

# A part of a job reads at least this many bytes of weights: some 10 us of work.
_PART_BYTES = 1 << 17
_PARTS_PER_THREAD = 8

_OFFSETS = {GgmlType.Q6_K: (16, -32), GgmlType.Q5_0: (32, -16), GgmlType.Q8_0: (32, -128)}


def kernels(kind: GgmlType, planes: int, isa: Isa) -> list[Kernel]:
    """Products with weights of one type: with one token (matrix-vector), and with tiles of several (matrix-matrix).

    Both give the same bits.
    """
    return [("product", int(kind), planes, int(isa), tile, isa.lanes) for tile in (1, TILE[isa])]


class _Quantised:
    """Buffers for the activations (T, K) as one type of weights, or several alike, takes them."""

    def __init__(self, kind: GgmlType, planes: int, tokens: int, columns: int) -> None:
        self._planes, self._tokens, self._columns = planes, tokens, columns
        self._block = block = layout(kind)[0]
        self._offsets = _OFFSETS.get(kind)
        self._values = np.empty(tokens * planes * columns, np.int8)
        self._scales = np.empty(tokens * (columns // block), np.float32)
        self._sums: Any
        if self._offsets:
            self._stride = columns // self._offsets[0] * 4
            self._sums = np.empty(tokens * planes * self._stride // 4, np.int32)
        else:
            self._stride = columns // 32
            self._sums = np.empty(tokens * sum_planes(planes) * self._stride, np.int8)

    @property
    def words(self) -> tuple[int, ...]:
        """Addresses of values, scales and sums, and bytes of one plane of sums."""
        return (self._values.ctypes.data, self._scales.ctypes.data, self._sums.ctypes.data, self._stride)

    @property
    def arrays(self) -> tuple[Any, ...]:
        return (self._values, self._scales, self._sums)

    def fill(self, runner: Runner, x: F32) -> None:
        activations.quantise(runner, x, self._planes, self._block, self._values, self._scales)
        if self._offsets:
            part, factor = self._offsets
            rows = self._tokens * self._planes
            activations.offsets(runner, self._values, rows, self._columns, part, factor, self._sums)
        else:
            activations.digits(runner, self._values, self._tokens, self._planes, self._columns, self._sums)


class Products:
    """Everything about the products of T tokens with some weights but their input and output.

    Kept for products with one token, of which decoding does some hundred per token; making it takes 20 us or more.
    """

    def __init__(self, weights: Sequence[Interleaved], tokens: int, planes: int, isa: Isa, threads: int) -> None:
        """Args:
        weights: with rows of one length.
        """
        self._tokens = tokens
        self._rows = [weight.shape[0] for weight in weights]
        self._quantised: dict[object, _Quantised] = {}
        self._words, series = [], [len(weights)]
        for weight in weights:
            rows, columns = weight.shape
            alike = (layout(weight.type)[0], _OFFSETS.get(weight.type))
            if alike not in self._quantised:
                self._quantised[alike] = _Quantised(weight.type, planes, tokens, columns)
            parts = max(1, min(weight.data.nbytes * tokens // _PART_BYTES, threads * _PARTS_PER_THREAD))
            place = (weight.data.ctypes.data, weight.group_bytes, weight.groups, columns)
            words = np.array([*place, *self._quantised[alike].words, tokens, 0, rows, parts], np.int64)
            self._words.append(words)
            series += [kernel(*kernels(weight.type, planes, isa)[tokens > 1]), words.ctypes.data, parts]
        self._series = np.array(series, np.int64)
        self._parts = sum(series[3::3])
        if len(weights) == 1:
            self._function, self._arguments = series[1], self._words[0]
        else:
            self._function, self._arguments = kernel("series"), self._series

    def run(self, runner: Runner, x: F32) -> list[F32]:
        """Quantise x (T, K); one (T, N) per weight."""
        x = np.ascontiguousarray(x)
        reads: list[Any] = []
        for quantised in self._quantised.values():
            quantised.fill(runner, x)
            reads += quantised.arrays
        found = []
        for words, rows in zip(self._words, self._rows, strict=True):
            out = np.empty((self._tokens, rows), np.float32)
            words[9] = out.ctypes.data
            found.append(out)
        runner.run(self._function, self._arguments, self._parts, reads=reads, makes=found, keeps=self._words)
        return found
