"""Architectures by `general.architecture`, and models on a backend in a precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.errors import BackendError, ModelError
from engine.gguf.display import escape
from engine.gguf.reader import GgufFile
from engine.kv_cache import KV_TYPES
from engine.models import on_device
from engine.models.llama import Llama
from engine.models.protocol import Config, Model
from engine.models.qwen2 import Qwen2
from engine.models.qwen3 import Qwen3
from engine.ops import BACKENDS, load_ops
from engine.ops.protocol import Ops

__all__ = ["ARCHITECTURES", "PRECISIONS", "Config", "Model", "kv_type", "load_model", "load_on"]

ARCHITECTURES: dict[str, Callable[[GgufFile, Ops], Model]] = {
    model.architecture.name: model for model in (Llama, Qwen2, Qwen3)
}


def load_model(file: GgufFile, ops: Ops) -> Model:
    """The model of a GGUF file, ready to run.

    Raises:
        ModelError: the architecture is not supported, or the file does not hold what it needs.
    """
    architecture = file.get("general.architecture", str)
    if architecture not in ARCHITECTURES:
        supported = ", ".join(sorted(ARCHITECTURES))
        raise ModelError(
            f"{escape(file.path.name)}: GGUF-K12: general.architecture {architecture!r} is not supported; "
            f"supported: {supported}"
        )
    return ARCHITECTURES[architecture](file, ops)


PRECISIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"cpu": ("f32", "q16", "q8"), "cuda": on_device.PRECISIONS, "reference": ("f32",)}
)
"""Of each backend: what activations are rounded to before products; see `engine.ops.cpu.precisions` and `on_device`."""

DEFAULT_PRECISION: Mapping[str, str] = MappingProxyType({"cpu": "f32", "cuda": "q8", "reference": "f32"})


def load_on(backend: str, file: GgufFile, precision: str | None = None, threads: int | None = None) -> Model:
    """The model of a GGUF file on one backend.

    Args:
        precision: one of `PRECISIONS[backend]`; default `DEFAULT_PRECISION[backend]`.
        threads: of the CPU, default one per core; with f32 it counts for every model of the process.

    Raises:
        ModelError: as `load_model`.
        BackendError: there is no such backend, precision or number of threads, or it is not available here. Nothing is
            tried instead.
    """
    if threads is not None and backend != "cpu":
        raise BackendError(f"threads is {threads}, which only backend 'cpu' obeys; the backend is {backend!r}")
    if backend in BACKENDS and precision not in (None, *PRECISIONS[backend]):
        have = ", ".join(PRECISIONS[backend])
        raise BackendError(f"precision {precision!r} is not one that backend {backend!r} has; available: {have}")
    if backend == "cuda":
        return on_device.OnDevice(file, load_model, precision=precision or DEFAULT_PRECISION["cuda"])
    ops = load_ops(backend)
    if backend == "cpu":
        from engine.ops import cpu
        from engine.ops.cpu.integer import IntegerOps
        from engine.ops.cpu.precisions import ops_for

        ops = ops_for(precision or DEFAULT_PRECISION["cpu"], threads)
        (ops if isinstance(ops, IntegerOps) else cpu).prepare(frozenset(info.type for info in file.tensors.values()))
    return load_model(file, ops)


def kv_type(backend: str, precision: str, asked: str | None = None) -> str:
    """What keys and values are stored as on a backend.

    Args:
        asked: one of `KV_TYPES`; default f16 where activations have no more bits than float16, f32 elsewhere, so that
            the cache is not the largest rounding of a precision.

    Raises:
        BackendError: the backend does not store that.
    """
    if asked is None:
        return "f16" if backend == "cuda" or precision == "q8" else "f32"
    have = ("f16",) if backend == "cuda" else tuple(KV_TYPES)
    if asked not in have:
        raise BackendError(f"kv cache {asked!r} is not one that backend {backend!r} has; available: {', '.join(have)}")
    return asked
