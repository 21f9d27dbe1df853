"""The operations of `resident` as one model has them: its name and precision beside functions that hold for all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import BackendError
from engine.ops.cuda import resident

PRECISIONS: Mapping[str, str] = MappingProxyType(
    {"q8": resident.precision, "f32": "float32 activations and sums, float16 kv cache"}
)
"""What a model may be asked for, named as the CPU's precisions are, and what it says of itself then."""


class ModelOps:
    """Satisfies `engine.ops.protocol.Ops` on device tensors; functions are looked up in `resident` at each call."""

    name = resident.name

    def __init__(self, precision: str) -> None:
        """Raises:
        BackendError: there is no such precision here.
        """
        if precision not in PRECISIONS:
            have = ", ".join(PRECISIONS)
            raise BackendError(f"precision {precision!r} is not one that backend 'cuda' has; available: {have}")
        self.precision = PRECISIONS[precision]

    def __getattr__(self, name: str) -> Any:
        return getattr(resident, name)
