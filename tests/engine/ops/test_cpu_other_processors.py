"""Processors that this machine is not: x86-64 without AVX2 and F16C runs, Arm compiles, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import re
import llvmlite.binding as llvm
llvm.get_host_cpu_features, llvm.get_host_cpu_name = llvm.FeatureMap, lambda: "generic"
from numba.core.codegen import CPUCodeLibrary
modules, add = [], CPUCodeLibrary.add_ir_module
def seen(self, module):
    modules.append(str(module))
    return add(self, module)
CPUCodeLibrary.add_ir_module = seen

import numpy as np
from engine import quant
from engine.gguf.types import GgmlType
from engine.ops import reference
from engine.ops.cpu.integer import IntegerOps
from engine.ops.protocol import Weight

rng = np.random.default_rng(0)
ops = IntegerOps("q8", 1)
raw = quant.encode(GgmlType.Q4_K, rng.standard_normal((9, 256)).astype(np.float32))
weight = Weight("w", GgmlType.Q4_K, (9, 256), raw)
x = rng.standard_normal((1, 256)).astype(np.float32)
exact = reference.matmul(x, weight)
print(ops.isa.label, float(np.abs(ops.matmul(x, weight) - exact).max() / np.abs(exact).max()) < 0.02)

q, kv = rng.standard_normal((1, 2, 8)).astype(np.float32), rng.standard_normal((3, 2, 8)).astype(np.float16)
wide, at = kv.astype(np.float32), np.array([2])
print(np.allclose(ops.attention(q, kv, kv, at), reference.attention(q, wide, wide, at), atol=1e-6))

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
arm = "aarch64-unknown-linux-gnu"
machine = llvm.Target.from_triple(arm).create_target_machine()
for text in modules:  # a pause is only asked for where the triple is that of x86-64
    text = re.sub(r"(?m)^.*call void .*llvm.x86.sse2.pause.*$|^target .*$", "", text)
    assert "call" not in " ".join(re.findall(r".*llvm\\.x86.*", text)), text
    module = llvm.parse_assembly(f'target triple = "{arm}"\\n{text}')
    machine.emit_assembly(module)
print("compiled for Arm" if modules else "nothing to compile")
"""


def test_without_avx2_it_runs_and_for_arm_it_compiles(tmp_path: Path) -> None:
    """The judge is the numpy reference; a missing instruction ends the process with a signal."""
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    environment.pop("Q4K_ISA", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "plain True\nTrue\ncompiled for Arm\n"), done.stderr[-2000:]
