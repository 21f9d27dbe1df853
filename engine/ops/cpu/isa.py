"""Which integer instructions the dot products use.

    vnni     x86-64 with AVX-512 VNNI: one instruction multiplies and adds 4 bytes per lane, 16 lanes
    avx2     x86-64 with AVX2: multiply-add of byte pairs, then of 16-bit pairs, 8 lanes
    plain    any processor: widened products, as LLVM makes of them (NEON on Arm)

All three compute the same integers, so a result does not depend on which one runs.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import llvmlite.binding as llvm

from engine.errors import BackendError


class Isa(IntEnum):
    """Instruction sets, from the most general to the fastest."""

    PLAIN = 0
    AVX2 = 1
    VNNI = 2

    @property
    def label(self) -> str:
        """Name as in the run record."""
        return self.name.lower()

    @property
    def lanes(self) -> int:
        """Rows that are worked on together: 32-bit lanes of a vector."""
        return 16 if self is Isa.VNNI else 8


@dataclass(frozen=True, slots=True)
class Processor:
    """What machine code is made for."""

    name: str
    """As LLVM calls it."""
    features: str
    """Instruction sets that it has and has not, as LLVM lists them."""

    def machine(self) -> Any:
        """A `llvmlite.binding.TargetMachine` that makes code for it."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple()
        return target.create_target_machine(self.name, self.features, opt=3, reloc="pic", codemodel="default", jit=True)


@functools.cache
def processor() -> Processor:
    """The one that this process runs on."""
    return Processor(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


@functools.cache
def available() -> tuple[Isa, ...]:
    """What this processor can run, the fastest last."""
    features = llvm.get_host_cpu_features()
    x86 = llvm.get_process_triple().startswith(("x86_64", "amd64"))
    found = [Isa.PLAIN]
    if x86 and features.get("avx2") and features.get("fma") and features.get("f16c"):
        found.append(Isa.AVX2)
        if all(features.get(name) for name in ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni")):
            found.append(Isa.VNNI)
    return tuple(found)


def choose() -> Isa:
    """The fastest available, or the one that the environment variable Q4K_ISA names.

    Raises:
        BackendError: Q4K_ISA names none that this processor has.
    """
    name = os.environ.get("Q4K_ISA")
    if not name:
        return available()[-1]
    found = next((isa for isa in available() if isa.label == name.lower()), None)
    if found is None:
        have = ", ".join(isa.label for isa in available())
        raise BackendError(f"Q4K_ISA is {name!r}; this processor has {have}")
    return found


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
