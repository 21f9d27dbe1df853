"""CPU models in the place of a GPU's, so that what is decided about a device can be shown without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from unittest import mock

import numpy as np

from engine.errors import BackendError
from engine.gguf.reader import GgufFile
from engine.models import on_device
from engine.models.protocol import Model
from engine.ops import load_ops
from engine.ops.protocol import F32, Ops
from engine.ops.rounded import Rounded

Spoil = Callable[[F32, int], F32]
"""(logits, tokens of this forward) to logits."""


def _wrong_when_decoding(logits: F32, tokens: int) -> F32:
    """As if keys of decoded tokens went to the wrong slot: the prompt is right, what follows is another text's."""
    return logits if tokens > 1 else np.roll(logits, 1, axis=-1)


DEFECTS: dict[str, dict[str, Any]] = {
    "every logit": {"spoil": lambda logits, _: np.roll(logits, 1, axis=-1)},
    "biases": {"dropped": "add_bias"},
    "decode only": {"spoil": _wrong_when_decoding},
    "NaN": {"spoil": lambda logits, _: logits * np.float32("nan")},
}
"""Arguments of `HostDevice` by what is wrong with it."""


class HostDevice(on_device.OnDevice):
    """Takes the place of a model on a GPU: the CPU's operations with the roundings of CUDA, and a chosen defect."""

    def __init__(
        self, file: GgufFile, load: on_device.Load, *, precision: str = "q8", spoil: Spoil | None = None,
        dropped: str = "",
    ) -> None:  # fmt: skip
        """
        Args:
            spoil: what becomes of the logits.
            dropped: an operation of the CPU that leaves its first argument as it is.
        """
        self.precision = precision
        self.ops = cast("Ops", Rounded(load_ops("cpu"), precision))
        if dropped:
            setattr(self.ops, dropped, lambda x, *_, **__: x)
        self._model: Model = load(file, self.ops)
        self._spoil = spoil

    def facts(self) -> dict[str, Any]:
        return {"target": "cpu", "device": "none: the CPU in its place"}

    def new_cache(self, max_positions: int | None = None) -> Any:
        return self._model.new_cache(max_positions)

    def forward(self, token_ids: Any, kv_cache: Any, *, tap: Any = None, last_only: bool = False) -> F32:
        logits = self._model.forward(token_ids, kv_cache, tap=tap, last_only=last_only)
        return logits if self._spoil is None else self._spoil(logits, len(token_ids))

    def release(self) -> None:
        """Nothing is held."""


@contextmanager
def in_its_place(**defect: Any) -> Iterator[None]:
    """Inside, backend `cuda` is a `HostDevice` with this defect."""

    def made(file: GgufFile, load: on_device.Load, *, precision: str = "q8") -> HostDevice:
        return HostDevice(file, load, precision=precision, **defect)

    with mock.patch.object(on_device, "OnDevice", made):
        yield


@contextmanager
def broken(reason: str) -> Iterator[None]:
    """Inside, backend `cuda` cannot start."""

    def refused(*_: Any, **__: Any) -> HostDevice:
        raise BackendError(reason)

    with mock.patch.object(on_device, "OnDevice", refused):
        yield


class Tied:
    """A model in which two tokens are nearly as probable, the CPU's choice being the first of them by a hair.

    The second gets the first one's logit less `gap` standard deviations, or more where it is to win.
    """

    def __init__(self, model: Model, gap: float) -> None:
        self._model, self._gap = model, gap
        self.new_cache = model.new_cache

    @property
    def ops(self) -> Ops:
        return self._model.ops

    @ops.setter
    def ops(self, ops: Ops) -> None:
        self._model.ops = ops

    def forward(self, token_ids: Sequence[int], kv_cache: Any, **options: Any) -> F32:
        logits = np.array(self._model.forward(token_ids, kv_cache, **options))
        for row in logits:
            second, first = np.argsort(row)[-2:]
            row[second] = row[first] - np.float32(self._gap) * row.std()
        return logits
