"""The CUDA kernels under test: on a GPU, or under Triton's interpreter where that is the claimed target.

torch and triton are imported when a falsifier runs, so that collecting needs neither.
"""

from __future__ import annotations

import importlib.metadata
import pkgutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest

from engine import quant
from engine.errors import BackendError
from engine.gguf.types import GgmlType
from engine.ops.protocol import Weight
from falsifiers.support.recorder import Recorder

F32 = npt.NDArray[np.float32]
QUANTISED = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0)
PLAIN = (GgmlType.F32, GgmlType.F16, GgmlType.BF16)


def module(name: str = "") -> Any:
    """engine.ops.cuda, or one of its modules."""
    return import_module(f"engine.ops.cuda.{name}" if name else "engine.ops.cuda")


def kernels() -> frozenset[str]:
    """Names of all kernels: the jitted functions named as their file that return nothing; others are parts of them."""
    found = set()
    for info in pkgutil.iter_modules(module().__path__):
        function = getattr(getattr(module(info.name), info.name, None), "fn", None)
        if function is not None and function.__annotations__.get("return") == "None":
            found.add(info.name)
    return frozenset(found)


@contextmanager
def recorded(pv: Recorder) -> Iterator[None]:
    """State where the kernels inside ran, and which: whatever ran without a launch ran on the host."""
    launch = module("launch")
    before = launch.counts()
    try:
        yield
    finally:
        launches = launch.since(before)
        facts = module("target").facts()
        pv.ran_on({**facts, "target": facts["target"] if launches else "cpu", "launches": launches})


@contextmanager
def few_programs() -> Iterator[None]:
    """Under the interpreter, whose time goes with the number of programs: larger row tiles. Rows share no sums."""
    configs = module("configs")
    if not is_interpreted():
        yield
        return
    table = configs.TABLES[0]
    matvec = {kind: replace(tile, rows=512) for kind, tile in table.matvec.items()}
    gated = {kind: replace(tile, rows=1024) for kind, tile in table.gated.items()}
    matmul = {kind: replace(tile, rows=512) for kind, tile in table.matmul.items()}
    exact = {kind: replace(tile, rows=512) for kind, tile in table.exact.items()}
    larger = replace(table, matvec=matvec, gated=gated, exact=exact, matmul=matmul)
    with mock.patch.dict(configs.TABLES, {0: larger}):
        yield


class _HostTimer:
    """The host's clock, where no device has one."""

    @staticmethod
    def mark() -> float:
        return time.perf_counter()

    @staticmethod
    def seconds(start: float, end: float) -> float:
        return end - start


def timer() -> Any:
    """Marks on the device's own clock."""
    return _HostTimer() if is_interpreted() else module("timer").EventTimer()


@contextmanager
def graphs() -> Iterator[str]:
    """What decode steps are captured in, in words: the interpreter has no graph, and a list of launches stands in."""
    if not is_interpreted():
        yield "a CUDA graph"
        return
    from support.list_graph import list_graphs

    with list_graphs():
        yield "a list of launches"


def allow_graph(model: Any) -> None:
    """Let a model that was made under the interpreter capture what `graphs` gives."""
    if is_interpreted():
        model._eager = ""


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Asks for the most bytes that tensors held at once so far: of the device, or under the interpreter of torch."""
    if not is_interpreted():
        memory = module("memory")
        memory.reset_peak()
        yield memory.peak_bytes
        return
    from support.device_memory import DeviceMemory

    put = module("target").put
    counted = DeviceMemory()
    with mock.patch.object(module("target"), "put", lambda array: counted.uploaded(put(array))), counted:
        yield lambda: counted.peak


def needs_gpu(pv: Recorder, why: str) -> None:
    """Leave the falsifier undecided where only the interpreter or the compiler is at hand, or where no GPU is."""
    if not pv.target.startswith("cuda") or pv.target in ("cuda-interpreted", "cuda-compiled"):
        pytest.skip(f"needs a GPU: {why}")
    _needs_device()


def needs_run(pv: Recorder) -> None:
    """Leave the falsifier undecided where kernels are compiled and not run, or where a GPU is claimed and none is."""
    if pv.target == "cuda-compiled":
        pytest.skip("compares numbers; the compiler gives none")
    if pv.target != "cuda-interpreted":
        _needs_device()


def needs_compiler(pv: Recorder) -> None:
    """Leave the falsifier undecided where kernels are interpreted, or claimed to run."""
    if pv.target != "cuda-compiled":
        pytest.skip("looks at machine code; runs where kernels are compiled and not interpreted")


def compiled_only(pv: Recorder, sm: int, found: Sequence[Any]) -> None:
    """State that nothing was launched and what was compiled: entries of the compile gate."""
    compiled = dict(sorted(Counter(entry.machine.name for entry in found).items()))
    version = importlib.metadata.version("triton")
    pv.ran_on(
        {"target": "cuda-compiled", "generation": f"sm_{sm}", "triton": version, "launches": {}, "compiled": compiled}
    )


def _needs_device() -> None:
    try:
        module("target").device()
    except BackendError as err:
        pytest.skip(f"needs a GPU; run 'make cuda' on a machine with one ({err})")


_PLANTED: list[str] = []


@contextmanager
def planting(name: str) -> Iterator[None]:
    """Note a fault that children of the falsifier have to enter as well."""
    _PLANTED.append(name)
    try:
        yield
    finally:
        _PLANTED.remove(name)


def planted() -> list[str]:
    """Faults that are entered now and that children have to enter."""
    return list(_PLANTED)


def is_interpreted() -> bool:
    return bool(module("target").is_interpreted())


def draw(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def with_outliers(x: F32) -> F32:
    """Every 500th channel is 50 times the rest."""
    x = x.copy()
    x[:, ::500] *= 50
    return x


def weight(kind: GgmlType, rows: int, columns: int) -> Weight:
    """Random quants with scales of either sign where the type has them; random numbers where it has not."""
    rng = np.random.default_rng([rows, columns])
    codec = quant.CODECS[kind]
    if not codec.SCALES:
        return Weight("w", kind, (rows, columns), quant.encode(kind, rng.standard_normal((rows, columns), np.float32)))
    blocks = rows * columns // codec.BLOCK_SIZE
    raw = rng.integers(0, 256, (blocks, codec.TYPE_SIZE), dtype=np.uint8)
    for at in codec.SCALES:
        scales = np.exp2(rng.uniform(-7, -3, blocks)) * rng.choice([-1, 1], blocks)
        raw[:, at : at + 2] = scales.astype("<f2").view(np.uint8).reshape(-1, 2)
    return Weight("w", kind, (rows, columns), raw.reshape(rows, columns // codec.BLOCK_SIZE * codec.TYPE_SIZE))


def in_8_bits(x: F32) -> npt.NDArray[np.float64]:
    """x after rounding to 8 bits in blocks of 32, by numpy."""
    blocks = x.reshape(len(x), x.shape[1] // 32, 32)
    d = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127)
    q = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
    rounded: npt.NDArray[np.float64] = (q.astype(np.float64) * d).reshape(x.shape)
    return rounded


def product(x: npt.NDArray[Any], weight: Weight) -> npt.NDArray[np.float64]:
    """In float64, from the decoder that has contracts of its own."""
    weights = np.asarray(quant.decode(weight.type, weight.data), np.float64)
    exact: npt.NDArray[np.float64] = x.astype(np.float64) @ weights.T
    return exact


def relative(found: F32, expected: npt.NDArray[Any]) -> float:
    """||found - expected|| / ||expected||."""
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    assert found.size, "nothing to compare"
    assert np.isfinite(found).all(), f"{np.count_nonzero(~np.isfinite(found))} values are not finite"
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def least_cosine(found: F32, expected: F32) -> float:
    """The smallest over rows."""
    a, b = found.astype(np.float64), expected.astype(np.float64)
    assert a.shape == b.shape, f"shape {a.shape}, expected {b.shape}"
    for side in (a, b):
        assert np.isfinite(side).all(), f"{np.count_nonzero(~np.isfinite(side))} values are not finite"
    return float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def serial(model: Any, ids: Sequence[int]) -> F32:
    """Logits of each token, one forward for each."""
    cache = model.new_cache(len(ids))
    return np.concatenate([model.forward([token], cache, last_only=True) for token in ids])
