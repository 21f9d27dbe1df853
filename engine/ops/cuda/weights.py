"""Weights on the device: uploaded once, still quantised, as many bytes as in the file.

    type             planes, N rows                                                          change
    Q4_K             blocks (N, 36 * blocks) int32                                           none
    Q6_K             low (N, 32 * blocks), high (N, 16 * blocks), scales (N, 4 * blocks)     repacked, see q6_k_matvec
                     int32, d (N, blocks) float16
    Q8_0             quants (N, 8 * blocks) int32, d (N, blocks) float16                     split, see q8_0_matvec
    F32 F16 BF16     values (N, K)                                                           none
    other            raw (N, row_bytes) uint8                                                none

Other types have no kernel: they are decoded at every use, see `decode`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.gguf.types import GgmlType, layout
from engine.ops.cuda import target
from engine.ops.protocol import U8, Weight

KERNEL_TYPES = frozenset({GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0, GgmlType.Q4_K, GgmlType.Q6_K})

_FLOATS = {GgmlType.F32: torch.float32, GgmlType.F16: torch.float16, GgmlType.BF16: torch.bfloat16}


@dataclass(frozen=True, slots=True, eq=False)
class DeviceWeight:
    name: str
    type: GgmlType
    shape: tuple[int, int]
    planes: Mapping[str, Any]

    @property
    def blocks(self) -> int:
        """Blocks in a row; columns where the type has no blocks."""
        return self.shape[1] // {GgmlType.Q4_K: 256, GgmlType.Q6_K: 256, GgmlType.Q8_0: 32}.get(self.type, 1)

    @property
    def size_bytes(self) -> int:
        return sum(plane.numel() * plane.element_size() for plane in self.planes.values())


def plane_shapes(type_: GgmlType, shape: tuple[int, int]) -> dict[str, tuple[tuple[int, int], Any]]:
    """Shape and torch type of each plane."""
    rows, columns = shape
    match type_:
        case GgmlType.Q4_K:
            return {"blocks": ((rows, columns // 256 * 36), torch.int32)}
        case GgmlType.Q6_K:
            blocks = columns // 256
            return {
                "low": ((rows, 32 * blocks), torch.int32),
                "high": ((rows, 16 * blocks), torch.int32),
                "scales": ((rows, 4 * blocks), torch.int32),
                "d": ((rows, blocks), torch.float16),
            }
        case GgmlType.Q8_0:
            return {"quants": ((rows, columns // 4), torch.int32), "d": ((rows, columns // 32), torch.float16)}
        case GgmlType.F32 | GgmlType.F16 | GgmlType.BF16:
            return {"values": (shape, _FLOATS[type_])}
        case _:
            block_size, type_size = layout(type_)
            return {"raw": ((rows, columns // block_size * type_size), torch.uint8)}


def empty(name: str, type_: GgmlType, shape: tuple[int, int]) -> DeviceWeight:
    """A weight that nobody has written: for the compile gate, and to be filled on the device."""
    device = target.device()
    planes = {
        key: torch.empty(size, dtype=dtype, device=device) for key, (size, dtype) in plane_shapes(type_, shape).items()
    }
    return DeviceWeight(name, type_, shape, planes)


def upload(weight: Weight) -> DeviceWeight:
    """Copy one weight to the device, repacked where its type asks for it."""
    if 0 in weight.shape or target.device().type == "meta":
        return empty(weight.name, weight.type, weight.shape)
    planes = {
        key: target.put(array).view(dtype).view(size)
        for (key, (size, dtype)), array in zip(
            plane_shapes(weight.type, weight.shape).items(), _planes(weight.type, weight.data), strict=True
        )
    }
    return DeviceWeight(weight.name, weight.type, weight.shape, planes)


def can_stack(hosts: Sequence[Weight]) -> bool:
    """Whether these are two weights or more of one type with a kernel, and of one width."""
    return len(hosts) > 1 and len({(host.type, host.shape[1]) for host in hosts}) == 1 and hosts[0].type in KERNEL_TYPES


def stack(hosts: Sequence[Weight]) -> tuple[DeviceWeight, list[DeviceWeight]]:
    """The rows of several weights below each other, and each of them as a part of that."""
    names, rows = [host.name for host in hosts], [host.shape[0] for host in hosts]
    whole = empty(" + ".join(names), hosts[0].type, (sum(rows), hosts[0].shape[1]))
    members, start = [], 0
    for host in hosts:
        planes = {key: plane[start : start + host.shape[0]] for key, plane in whole.planes.items()}
        for key, plane in upload(host).planes.items():
            planes[key].copy_(plane)
        members.append(DeviceWeight(host.name, host.type, host.shape, planes))
        start += host.shape[0]
    target.finish()
    return whole, members


def _planes(type_: GgmlType, data: U8) -> tuple[npt.NDArray[Any], ...]:
    """Bytes of each plane, one row of the array for each row of the weight."""
    rows = data.shape[0]
    if type_ == GgmlType.Q6_K:
        return _q6_k_planes(data)
    if type_ == GgmlType.Q8_0:
        blocks = data.reshape(rows, -1, 34)
        return np.ascontiguousarray(blocks[:, :, 2:]).reshape(rows, -1), _packed(blocks[:, :, :2])
    return (data,)


def _q6_k_planes(data: U8) -> tuple[npt.NDArray[Any], ...]:
    rows = data.shape[0]
    blocks = data.reshape(rows, -1, 210)
    # ql: half h, k % 2, e, 16 values of l  ->  h, e, k % 2, 16
    low = blocks[:, :, :128].reshape(rows, -1, 2, 2, 2, 16).swapaxes(3, 4)
    # scales: half h, k, e  ->  h, e, k
    scales = blocks[:, :, 192:208].reshape(rows, -1, 2, 4, 2).swapaxes(3, 4)
    # qh is in order already: half h, e, 16 values of l
    return _packed(low), _packed(blocks[:, :, 128:192]), _packed(scales), _packed(blocks[:, :, 208:210])


def _packed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array).reshape(array.shape[0], -1)
