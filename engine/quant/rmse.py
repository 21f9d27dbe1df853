"""How exact is our encoding? RMSE of Q4_K, Q6_K and Q8_0 on seeded data, beside that of llama.cpp.

    python -m engine.quant.rmse                 against the recorded figures of llama.cpp
    python -m engine.quant.rmse --ggml LIB.so   against llama.cpp itself, run now

LIB.so is any shared library that exports `ggml_quantize_chunk`: libggml-base.so, or the extension module of the
xllamacpp wheel, which recorded the figures below (version 2026.10.11549, x86-64, no importance matrix).
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from engine import quant
from engine.gguf.types import GgmlType
from engine.quant.blocks import Bytes, Floats

SEED = 20250903
SHAPE = (256, 768)
TYPES = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0)
LIMIT = 1.05
"""Largest ratio to llama.cpp's RMSE that we accept."""

LLAMA_CPP_RMSE: Mapping[str, tuple[float, float, float]] = {
    "gaussian": (1.4301860e-03, 3.5633053e-04, 1.0727778e-04),
    "student-t, 3 degrees": (3.1974156e-03, 8.8462248e-04, 2.8709271e-04),
    "laplace": (2.3754180e-03, 6.0940466e-04, 1.8974238e-04),
    "uniform": (3.1515231e-02, 7.6505567e-03, 2.1717216e-03),
    "positive (gamma 2)": (1.0928559e-01, 4.4957283e-02, 1.3794459e-02),
    "outliers, 0.2 % x 26": (1.3776973e-01, 4.4825796e-02, 1.5598974e-02),
}
"""By data set, in the order of `TYPES`."""


class Row(NamedTuple):
    """One line of the table."""

    data: str
    type: GgmlType
    ours: float
    llama_cpp: float
    seconds: float

    @property
    def ratio(self) -> float:
        return self.ours / self.llama_cpp


def data_sets() -> dict[str, Floats]:
    """Weights as trained models have them, and worse: `SHAPE`, float32, seeded by name."""

    def draw(index: int) -> np.random.Generator:
        return np.random.default_rng([SEED, index])

    normal = draw(5).standard_normal(SHAPE)
    sets = {
        "gaussian": draw(0).standard_normal(SHAPE) * 0.02,
        "student-t, 3 degrees": draw(1).standard_t(3, SHAPE) * 0.02,
        "laplace": draw(2).laplace(0, 0.02, SHAPE),
        "uniform": draw(3).uniform(-1, 1, SHAPE),
        "positive (gamma 2)": draw(4).gamma(2, 1, SHAPE),
        "outliers, 0.2 % x 26": np.where(draw(6).random(SHAPE) < 0.002, 26, 1) * normal,
    }
    return {name: weights.astype(np.float32) for name, weights in sets.items()}


def rmse(type_: GgmlType, packed: Bytes, weights: Floats) -> float:
    """Root mean square error of packed weights, summed in float64."""
    error = quant.decode(type_, packed).astype(np.float64) - weights
    return float(np.sqrt(np.mean(np.square(error))))


def llama_cpp_encoder(library: str) -> Callable[[GgmlType, Floats], Bytes]:
    """`ggml_quantize_chunk` of a shared library, without importance matrix.

    Raises:
        OSError: the library does not load.
        AttributeError: it does not export the function.
    """
    function = ctypes.PyDLL(library, mode=ctypes.DEFAULT_MODE).ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]

    def encode(type_: GgmlType, weights: Floats) -> Bytes:
        codec = quant.codec(type_)
        rows, cols = weights.shape
        packed = np.zeros((rows, cols // codec.BLOCK_SIZE * codec.TYPE_SIZE), np.uint8)
        function(int(type_), weights.ctypes.data, packed.ctypes.data, 0, rows, cols, None)
        return packed

    return encode


def table(reference: Callable[[GgmlType, Floats], Bytes] | None = None) -> Iterator[Row]:
    """Every type on every data set; llama.cpp's figure from `reference`, or the recorded one."""
    for name, weights in data_sets().items():
        for index, type_ in enumerate(TYPES):
            start = time.perf_counter()
            packed = quant.encode(type_, weights)
            seconds = time.perf_counter() - start
            theirs = (
                rmse(type_, reference(type_, weights), weights)
                if reference is not None
                else LLAMA_CPP_RMSE[name][index]
            )
            yield Row(name, type_, rmse(type_, packed, weights), theirs, seconds)


def main() -> None:
    """Print the table; exit code 1 if a ratio is above the limit."""
    parser = argparse.ArgumentParser(prog="python -m engine.quant.rmse", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ggml", metavar="LIB.so", help="shared library that exports ggml_quantize_chunk")
    arguments = parser.parse_args()
    reference = llama_cpp_encoder(arguments.ggml) if arguments.ggml else None
    print(f"{SHAPE[0]} x {SHAPE[1]} weights, llama.cpp {'run now' if reference else 'as recorded'}, limit {LIMIT}")
    print(f"{'data':22} {'type':5} {'ours':>13} {'llama.cpp':>13} {'ratio':>7} {'seconds':>8}")
    worst = 0.0
    for row in table(reference):
        print(
            f"{row.data:22} {row.type.name:5} {row.ours:13.7e} {row.llama_cpp:13.7e} "
            f"{row.ratio:7.4f} {row.seconds:8.3f}"
        )
        worst = max(worst, row.ratio)
    print(f"worst ratio {worst:.4f}: {'within' if worst <= LIMIT else 'ABOVE'} the limit")
    raise SystemExit(worst > LIMIT)


if __name__ == "__main__":
    main()
