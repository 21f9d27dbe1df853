"""Weights made on the device: random bytes, and scales that give the weights the size that was asked for.

For measuring speed, with the shapes and types of a file whose matrices need not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

import torch

from engine.gguf.types import GgmlType, layout
from engine.ops.cuda import target, weights
from engine.ops.cuda.weights import DeviceWeight
from engine.ops.protocol import Weight

MeanScales = Callable[[GgmlType], Mapping[int, float]]
"""Of a type: byte offset of each float16 scale in a block, and the mean of its values."""

_SPREAD = 0.5
"""Scales are uniform within this share of their mean."""


def random_weight(host: Weight, mean_scales: MeanScales) -> DeviceWeight:
    """A weight of the type and shape of `host`, whose data are not looked at."""
    made = weights.empty(host.name, host.type, host.shape)
    scales = mean_scales(host.type)
    rows = host.shape[0]
    for name, plane in made.planes.items():
        if name == "values":
            plane.normal_(0.0, scales[0])
        elif name == "d":
            (mean,) = scales.values()
            plane.uniform_(mean * (1 - _SPREAD), mean * (1 + _SPREAD))
        else:
            plane.view(torch.uint8).random_(0, 256)
            if name in ("blocks", "raw"):
                halves = plane.view(torch.float16).view(rows, -1, layout(host.type)[1] // 2)
                factor = torch.empty(halves.shape[:2], dtype=torch.float32, device=plane.device)
                factor.uniform_(1 - _SPREAD, 1 + _SPREAD)
                for offset, mean in scales.items():
                    halves[:, :, offset // 2] = (factor * mean).half()
    target.finish()
    return made


@contextmanager
def instead_of_uploads(mean_scales: MeanScales) -> Iterator[None]:
    """Inside, weights are made and none is copied."""
    with mock.patch.object(weights, "upload", lambda host: random_weight(host, mean_scales)):
        yield
