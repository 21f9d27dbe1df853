"""What start-up left behind is given back, and the process works on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from engine.footprint import release_code, release_start_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is released")


def resident_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def test_libraries_work_after_their_pages_were_released() -> None:
    matrix = np.array([[2.0, 1.0], [1.0, 1.0]])
    expected = np.linalg.inv(matrix)
    before = resident_bytes()
    assert release_code() > 10 << 20
    assert resident_bytes() < before - (4 << 20)
    assert np.array_equal(np.linalg.inv(matrix), expected)


def test_room_between_blocks_is_given_back() -> None:
    """64 MB in blocks of 64 KB, of which every 16th stays: the allocator can give nothing back by itself."""
    blocks = [bytes([1]) * 65_000 for _ in range(1000)]
    kept = blocks[::16]
    del blocks
    before = resident_bytes()
    release_start_up()
    assert resident_bytes() < before - (40 << 20)
    assert all(block == bytes([1]) * 65_000 for block in kept)
