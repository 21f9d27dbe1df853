"""The kernel that measures read bandwidth, as machine code: it must not be limited by anything but memory."""

from __future__ import annotations

import pytest
import torch

from engine.ops.cuda import bandwidth, target
from engine.ops.cuda.compiled import Machine, compiled_instead


@pytest.mark.parametrize("sm", [80, 90])
def test_reading_is_wide_loads_and_little_else(sm: int) -> None:
    """A thread reads 16 words in each of 8 steps: 32 loads of 16 bytes, and about one addition for each word."""
    found: list[Machine] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda machine, _: found.append(machine)):
        sums = bandwidth.read()
        assert sums.shape == ((2 << 30) // 4 // (bandwidth.BLOCK * bandwidth.STEPS),)
        assert sums.device == torch.device("meta")
    bandwidth.release()
    (machine,) = found
    assert machine.stack_bytes == 0
    assert machine.wide_loads == 32
    words = bandwidth.BLOCK * bandwidth.STEPS
    assert machine.per_item(words) < 1.5
