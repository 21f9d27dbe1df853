"""Memory of the compiler is given back, and it still works."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numba import njit

from engine.ops.cpu.footprint import release_compiler


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is released")
def test_the_compiler_works_after_its_pages_were_released() -> None:
    assert release_compiler() > 10 << 20

    def twice(x):
        return 2 * x

    assert njit(twice)(np.int64(21)) == 42
