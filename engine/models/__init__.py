"""Architectures by `general.architecture`, and models on a backend in a precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.errors import BackendError, ModelError
from engine.gguf.display import escape
from engine.gguf.reader import GgufFile
from engine.models import on_device, qwen2
from engine.models.protocol import Config, Model
from engine.ops import BACKENDS, load_ops
from engine.ops.protocol import Ops

__all__ = ["ARCHITECTURES", "PRECISIONS", "Config", "Model", "load_model", "load_on"]

ARCHITECTURES: dict[str, Callable[[GgufFile, Ops], Model]] = {
    qwen2.ARCHITECTURE: qwen2.Qwen2,
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


def load_on(backend: str, file: GgufFile, precision: str | None = None) -> Model:
    """The model of a GGUF file on one backend.

    Args:
        precision: one of `PRECISIONS[backend]`; default `DEFAULT_PRECISION[backend]`.

    Raises:
        ModelError: as `load_model`.
        BackendError: there is no such backend or precision, or it is not available here. Nothing is tried instead.
    """
    if backend in BACKENDS and precision not in (None, *PRECISIONS[backend]):
        have = ", ".join(PRECISIONS[backend])
        raise BackendError(f"precision {precision!r} is not one that backend {backend!r} has; available: {have}")
    if backend == "cuda":
        return on_device.OnDevice(file, load_model, precision=precision or DEFAULT_PRECISION["cuda"])
    ops = load_ops(backend)
    if backend == "cpu" and precision is not None:
        from engine.ops.cpu.precisions import ops_for

        ops = ops_for(precision)
    return load_model(file, ops)
