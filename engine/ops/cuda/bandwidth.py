"""What the device can do at most, measured: bytes read per second, and flops of a large product.

Reading only: decode reads weights and writes next to nothing, and a copy would count bytes that are not read.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import torch

from engine.ops.cuda import target
from engine.ops.cuda.launch import launch
from engine.ops.cuda.read_words import read_words

BLOCK, STEPS, WARPS = 2048, 8, 4
"""16 words for each thread and step: four loads of 16 bytes, eight times."""

_OCCUPIED_S = 0.1
"""Longer than the host takes to launch one forward of single kernels."""
_LIKELY_BYTES_PER_S = 5e12


class Timer(Protocol):
    """As `engine.ops.cuda.timer.EventTimer`."""

    def mark(self) -> Any: ...

    def seconds(self, start: Any, end: Any) -> float: ...


def size_bytes() -> int:
    """Of the array that is read: many times any cache; under the interpreter as little as shows anything."""
    return 1 << 20 if target.is_interpreted() else 2 << 30


@functools.cache
def _words(size: int, device: str) -> Any:
    # of 15 bits: the interpreter refuses sums that do not fit into 32
    return torch.randint(-(1 << 14), 1 << 14, (size // 4,), dtype=torch.int32, device=device)


def read() -> Any:
    """Read the array once; the sums of its parts."""
    words = _words(size_bytes(), str(target.device()))
    programs = words.numel() // (BLOCK * STEPS)
    sums = torch.empty(programs, dtype=torch.int32, device=words.device)
    launch(read_words, (programs, 1, 1), warps=WARPS, words=words, sums=sums, STEPS=STEPS, BLOCK=BLOCK)
    return sums


def read_bandwidth(timer: Timer, *, rounds: int = 9) -> list[float]:
    """Bytes per second of reading the array once, per round; a first round is not counted."""
    found = []
    for _ in range(rounds + 1):
        start = timer.mark()
        read()
        found.append(size_bytes() / timer.seconds(start, timer.mark()))
    return found[1:]


def product_flops(timer: Timer, *, rounds: int = 5) -> list[float]:
    """Flops per second of a square float16 product by torch, per round; a first round is not counted."""
    size = 64 if target.is_interpreted() else 8192
    # random numbers: a GPU runs faster on zeros, which cost it less power
    a, b = (torch.randn((size, size), device=target.device()).half() for _ in range(2))
    found = []
    for _ in range(rounds + 1):
        start = timer.mark()
        torch.matmul(a, b)
        found.append(2 * size**3 / timer.seconds(start, timer.mark()))
    return found[1:]


def occupy() -> None:
    """Give the device work for a while, so that what is launched next runs without gaps in which it waits."""
    times = 1 if target.is_interpreted() else int(_OCCUPIED_S * _LIKELY_BYTES_PER_S / size_bytes())
    for _ in range(times):
        read()


def release() -> None:
    """Let go of the array."""
    _words.cache_clear()
