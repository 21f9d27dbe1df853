"""Device memory: what a model needs, what is free, and one message where the two do not fit.

    needed = weights (as many bytes as in the file) + KV cache (float16) + workspace

The workspace is what activations of one prefill chunk take at their widest: a few float32 arrays of the feed-forward
size and of the vocabulary, and what torch and the driver keep for themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.errors import BackendError
from engine.ops.cuda import target

OutOfMemory = torch.OutOfMemoryError
"""What torch raises when an allocation fails."""

_CONTEXT_BYTES = 64 << 20
"""Kernels, graphs and torch's own buffers; an allowance, not measured on a GPU yet."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes on the device."""

    weights: int
    kv_cache: int
    workspace: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.workspace


def workspace(chunk: int, hidden_size: int, intermediate_size: int, vocab_size: int) -> int:
    """Bytes that activations of one forward of `chunk` tokens take at most, the logits of one token included."""
    # gate, up, swiglu and its 8-bit or float16 form are alive together, beside residual, norm and one product
    per_token = 4 * (4 * intermediate_size + 6 * hidden_size)
    return chunk * per_token + 4 * 4 * vocab_size + _CONTEXT_BYTES


def kv_cache_bytes(num_layers: int, num_kv_heads: int, head_dim: int, positions: int) -> int:
    return 2 * 2 * num_layers * num_kv_heads * head_dim * positions


def free_bytes() -> int | None:
    """Free device memory; None under the interpreter, where weights lie in the host's."""
    if target.is_interpreted():
        return None
    free, _ = torch.cuda.mem_get_info(target.device())
    return int(free)


def give_back() -> None:
    """Return to the driver what torch keeps of freed memory."""
    if not target.is_interpreted():
        torch.cuda.empty_cache()


def peak_bytes() -> int:
    """Most device memory that tensors held at once since `reset_peak`."""
    return int(torch.cuda.max_memory_allocated())


def reset_peak() -> None:
    torch.cuda.reset_peak_memory_stats()


def require(need: Need, positions: int, free: int | None) -> None:
    """Raises:
    BackendError: `need` is more than `free`.
    """
    if free is not None and need.total > free:
        raise BackendError(
            f"backend 'cuda': needs {_mib(need.total)} MiB of device memory ({_mib(need.weights)} weights, "
            f"{_mib(need.kv_cache)} kv cache for {positions} positions, {_mib(need.workspace)} workspace), "
            f"{free >> 20} MiB are free; free some, take a smaller model, or use cpu"
        )


def _mib(size: int) -> int:
    return -(-size // (1 << 20))
