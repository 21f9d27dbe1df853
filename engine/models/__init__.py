"""Architectures by `general.architecture`."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import ModelError
from engine.gguf.display import escape
from engine.gguf.reader import GgufFile
from engine.models import qwen2
from engine.models.protocol import Config, Model
from engine.ops.protocol import Ops

__all__ = ["ARCHITECTURES", "Config", "Model", "load_model"]

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
