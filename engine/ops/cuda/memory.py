"""Device memory: what a model needs, what is free, and one message where the two do not fit.

    weights      the matrices in as many bytes as in the file, norms and biases in float32
    kv cache     float16 keys and values of every position
    workspace    activations of the longest forward at their widest, those of the captured decode step beside them, and
                 room for what is no tensor: loaded kernels and the graph itself

The allocator hands out multiples of 512 bytes, and every part is counted so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch

from engine.errors import BackendError
from engine.gguf.types import GgmlType
from engine.ops.cuda import target
from engine.ops.cuda.products import DECODED_WEIGHTS_AT_ONCE
from engine.ops.cuda.weights import KERNEL_TYPES, plane_shapes

_GRANULE = 512
"""Bytes: kMinBlockSize of torch's caching allocator."""

_BUFFERS = 64
"""Alive at once, each rounded up to the granule."""

_NO_TENSORS = 64 << 20
"""Loaded kernels and graph nodes; an allowance, not measured on a GPU yet."""

_DECODED_BYTES = 16
"""Of one weight of a type without a kernel while it is decoded: float32 of three steps, and the bytes of its bits."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Columns of the activations of one model."""

    hidden: int
    q: int
    kv: int
    ffn: int
    vocab: int
    norms_heads: bool = False
    """Heads of q and k are normalised before they are rotated."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes on the device."""

    weights: int
    kv_cache: int
    workspace: int
    positions: int
    """That the cache is for."""

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.workspace

    def parts(self) -> dict[str, int]:
        """For the run record."""
        return {**asdict(self), "total": self.total}

    def __str__(self) -> str:
        return (
            f"{_mib(self.total)} MiB of device memory ({_mib(self.weights)} weights, {_mib(self.kv_cache)} kv cache "
            f"for {self.positions} positions, {_mib(self.workspace)} workspace)"
        )


def need(
    tensors: Iterable[tuple[GgmlType, tuple[int, ...]]],
    cache_shape: tuple[int, int, int],
    *,
    positions: int,
    chunk: int,
    widths: Widths,
) -> Need:
    """What one model takes, all told.

    Args:
        tensors: type and shape of those that the model uses.
        cache_shape: layers, kv heads, head dim.
        chunk: tokens of the longest forward.
    """
    listed = list(tensors)
    slow = any(len(shape) == 2 and type_ not in KERNEL_TYPES for type_, shape in listed)
    return Need(
        weights=sum(_weight_bytes(type_, shape) for type_, shape in listed),
        kv_cache=2 * granules(kv_cache_bytes(*cache_shape, positions) // 2),
        workspace=activations(chunk, widths)
        + 2 * activations(1, widths)
        + slow * _DECODED_BYTES * max(DECODED_WEIGHTS_AT_ONCE, widths.hidden, widths.ffn)
        + _NO_TENSORS,
        positions=positions,
    )


def _weight_bytes(type_: GgmlType, shape: tuple[int, ...]) -> int:
    if len(shape) != 2:
        return granules(4 * int(torch.Size(shape).numel()))
    planes = plane_shapes(type_, (shape[0], shape[1])).values()
    return sum(granules(rows * columns * dtype.itemsize) for (rows, columns), dtype in planes)


def activations(tokens: int, widths: Widths) -> int:
    """Bytes that the activations of one forward take at most, the logits of its last token included.

    A layer holds all it computes until it ends: in attention the input, the norm and its float16 form, q, k and v
    before and after their biases, q and k rotated, the heads joined with their float16 form, their product and the
    sum; in the feed-forward part gate and up, of which each is copied out of one product, or joined, instead. Where
    heads are normalised, q and k are copied out of a product for it, and have a norm with its float16 form.
    """
    hidden, q, kv, ffn = widths.hidden, widths.q, widths.kv, widths.ffn
    norms = 6 * (q + kv) if widths.norms_heads else 0
    layer = max(9 * hidden + 9 * q + 10 * kv + norms, 9 * hidden + 8 * ffn) * 2 * tokens
    # Up to 8 tokens: sums in parts of a product or of attention, 8 of each at most; the argmax of the logits.
    parts = 4 * min(tokens, 8) * 8 * max(hidden, q, kv)
    return layer + parts + 4 * (widths.vocab + widths.vocab // 4) + _BUFFERS * _GRANULE


def kv_cache_bytes(num_layers: int, num_kv_heads: int, head_dim: int, positions: int) -> int:
    return 2 * 2 * num_layers * num_kv_heads * head_dim * positions


def granules(size: int) -> int:
    """`size` bytes as the allocator counts them."""
    return -(-size // _GRANULE) * _GRANULE


def free_bytes() -> int | None:
    """Free device memory; None under the interpreter, where weights lie in the host's."""
    if target.is_interpreted():
        return None
    free, _ = torch.cuda.mem_get_info(target.device())
    # what torch keeps of freed memory is free to us
    return int(free) + int(torch.cuda.memory_reserved()) - int(torch.cuda.memory_allocated())


def give_back() -> None:
    """Return to the driver what torch keeps of freed memory."""
    if not target.is_interpreted():
        torch.cuda.empty_cache()


def peak_bytes() -> int | None:
    """Most device memory that tensors of this process held at once since `reset_peak`; None under the interpreter."""
    return None if target.is_interpreted() else int(torch.cuda.max_memory_allocated())


def reset_peak() -> None:
    torch.cuda.reset_peak_memory_stats()


def require(need: Need, free: int | None) -> None:
    """Raises:
    BackendError: `need` is more than `free`.
    """
    if free is not None and need.total > free:
        raise BackendError(
            f"backend 'cuda': needs {need}, {free >> 20} MiB are free; free some, take a smaller model, or use cpu"
        )


def used_up_by(error: BaseException | None) -> BaseException | None:
    """The allocation that failed, in torch or in the driver, under errors on the way out; None if none did."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and "out of memory" in str(error)
        ):
            return error
        error = error.__cause__ or error.__context__
    return None


def used_up(said: str, need: Need) -> str:
    """One line for an allocation that failed although `require` had passed."""
    free = free_bytes()
    left = "" if free is None else f", {free >> 20} MiB are free now"
    return f"backend 'cuda': device memory was used up: {said}; the model needs {need}{left}; free some, or use cpu"


def _mib(size: int) -> int:
    return -(-size // (1 << 20))
