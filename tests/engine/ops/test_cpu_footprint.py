"""Memory of LLVM is given back, and it still links and compiles."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from engine.ops.cpu.footprint import release_compiler
from engine.ops.cpu.isa import processor
from engine.ops.cpu.machine_code import kernel, kernel_function
kernel("add")
print(release_compiler() > 10 << 20)
print(kernel_function("serve", arguments=2)(0, 0))
from engine.ops.cpu.kernels.compile import object_code
def twice(x: int) -> int:
    return 2 * x
from engine.ops.cpu.machine_code import link
address, code = link("twice", object_code(twice, processor()))
print(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(21))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is released")
def test_the_compiler_works_after_its_pages_were_released() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "0", "42"]
