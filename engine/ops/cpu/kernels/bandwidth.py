"""Reading memory, as fast as it can be read."""

from __future__ import annotations

from numba import carray

from engine.ops.cpu.kernels.llvm import integers_at
from engine.ops.cpu.kernels.products import Job


def read_words(count: int, parts: int) -> Job:
    """Sum of a part of `count` words, kept in its first so that no read is left out.

    One stream, every word: what a processor fetches ahead follows addresses that only grow. One word of every cache
    line finds half as much, and eight streams three fifths.
    """

    def run(words: int, part: int) -> None:
        numbers = carray(integers_at(words), (count,))
        length = count // parts
        total = 0
        for number in numbers[part * length : (part + 1) * length]:
            total += number
        numbers[part * length] = total

    return run
