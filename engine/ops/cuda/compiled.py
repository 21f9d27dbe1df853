"""Kernels as machine code, without a device: compile a launch for a GPU generation and read what came out.

Triton compiles for any target without a driver; the disassembler that it carries tells registers, stack, loads and
instructions. What cannot be told here: time, latency, occupancy.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import BackendError
from engine.ops.cuda.launch import Launch, intercepted

# Shared memory that one block of threads may use, in bytes.
# Source: CUDA C++ Programming Guide, technical specifications per compute capability.
SHARED_LIMIT = {80: 163 << 10, 86: 99 << 10, 89: 99 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}

_machines: dict[str, Machine] = {}
"""By generation and everything that a kernel is specialised on: models share most of theirs."""

_POINTERS = {
    "float64": "*fp64", "float32": "*fp32", "float16": "*fp16", "bfloat16": "*bf16",
    "int8": "*i8", "uint8": "*u8", "int32": "*i32", "int64": "*i64",
}  # fmt: skip
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*)$")
_LABEL = re.compile(r"^(\.L_x_\d+):")
_WAIT = "ACQBULK"
"""griddepcontrol.wait in machine code."""
_TARGET = re.compile(r"\(?`?\(?(\.L_x_\d+)\)?")


@dataclass(frozen=True, slots=True)
class Machine:
    """What one kernel became for one GPU generation."""

    name: str
    capability: int
    """80 for sm_80."""
    registers: int
    stack_bytes: int
    shared_bytes: int
    threads: int
    loop: tuple[str, ...]
    """Opcodes of the largest loop, in order; of the whole kernel if it has no loop."""
    has_loop: bool
    opcodes: tuple[str, ...]
    """Of the whole kernel, in the order of the listing."""

    def count(self, prefix: str) -> int:
        """Instructions of the loop whose opcode starts with `prefix`, such as LDG.E.128."""
        return sum(opcode.startswith(prefix) for opcode in self.loop)

    @property
    def wide_loads(self) -> int:
        """Loads of 16 bytes per thread from device memory in the loop."""
        return wide_loads(self.loop)

    @property
    def before_wait(self) -> tuple[str, ...]:
        """What comes before the wait for the kernels before this one; everything where there is none."""
        return self.opcodes[: self.opcodes.index(_WAIT)] if _WAIT in self.opcodes else self.opcodes

    @property
    def histogram(self) -> dict[str, int]:
        return dict(Counter(opcode.partition(".")[0] for opcode in self.loop).most_common())

    def per_item(self, items: int) -> float:
        """Thread instructions of the loop for each of `items` handled by all threads together in one iteration."""
        return len(self.loop) * self.threads / items


def wide_loads(opcodes: Iterable[str]) -> int:
    """Loads of 16 bytes per thread from device memory."""
    return sum(opcode.startswith("LDG") and ".128" in opcode for opcode in opcodes)


def specialise(launched: Launch) -> tuple[dict[str, str], dict[str, Any], dict[tuple[int], list[list[Any]]]]:
    """Signature, constants and attributes that Triton would use for these arguments."""
    signature: dict[str, str] = {}
    constants: dict[str, Any] = {}
    attributes: dict[tuple[int], list[list[Any]]] = {}
    for index, parameter in enumerate(launched.kernel.params):
        value = launched.arguments[parameter.name]
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[parameter.name] = "constexpr"
            constants[parameter.name] = value
            continue
        if isinstance(value, float):
            signature[parameter.name] = "fp32"
            continue
        if isinstance(value, int):
            signature[parameter.name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            aligned = value % 16 == 0
        else:
            signature[parameter.name] = _POINTERS[str(value.dtype).removeprefix("torch.")]
            # a tensor without storage stands for one at the start of an allocation
            aligned = value.is_meta or value.data_ptr() % 16 == 0
        if aligned:
            attributes[index,] = [["tt.divisibility", 16]]
    return signature, constants, attributes


def binary(launched: Launch, capability: int) -> Any:
    """What Triton makes of one launch for sm_<capability>; its `asm` holds the text of PTX, and the cubin.

    Raises:
        BackendError: this process interprets kernels, and cannot compile any.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if triton.knobs.runtime.interpret:
        raise BackendError("kernels cannot be compiled where TRITON_INTERPRET is set; unset it")
    signature, constants, attributes = specialise(launched)
    source = ASTSource(fn=launched.kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=launched.options)


def compile_for(launched: Launch, capability: int) -> Machine:
    """Compile one launch for sm_<capability>, and disassemble it.

    Raises:
        BackendError: as `binary`.
    """
    made = binary(launched, capability)
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(made.asm["cubin"])
        usage = _tool("cuobjdump", "--dump-resource-usage", str(cubin))
        listing = _tool("nvdisasm", "-c", str(cubin))
    loop, has_loop = largest_loop(listing)
    return Machine(
        name=launched.name,
        capability=capability,
        registers=_resource(usage, "REG"),
        stack_bytes=_resource(usage, "STACK"),
        shared_bytes=int(made.metadata.shared),
        threads=32 * launched.warps,
        loop=loop,
        has_loop=has_loop,
        opcodes=opcodes(listing),
    )


@contextmanager
def compiled_instead(capability: int, keep: Callable[[Machine, Launch], None]) -> Iterator[None]:
    """Launches inside are compiled for sm_<capability>, handed to `keep`, and not run; a kernel as often as it differs.

    Operations called inside return memory that nothing has written.
    """
    seen: set[str] = set()

    def runner(launched: Launch) -> None:
        key = repr((capability, launched.name, launched.warps, launched.stages, specialise(launched)))
        if key not in seen:
            seen.add(key)
            machine = _machines.get(key) or compile_for(launched, capability)
            keep(_machines.setdefault(key, machine), launched)

    with intercepted(runner):
        yield


def largest_loop(listing: str) -> tuple[tuple[str, ...], bool]:
    """Opcodes between a label and a branch back to it, for the longest such span; all opcodes, and False, if none."""
    opcodes: list[str] = []
    starts: dict[str, int] = {}
    best: tuple[str, ...] = ()
    for line in listing.splitlines():
        if label := _LABEL.match(line):
            starts[label[1]] = len(opcodes)
        elif found := _INSTRUCTION.match(line):
            opcode, rest = found[1], found[2]
            opcodes.append(opcode)
            target = _TARGET.search(rest) if opcode.startswith("BRA") else None
            # a branch to itself is the padding after the end
            if target and target[1] in starts and starts[target[1]] < len(opcodes) - 1:
                span = tuple(opcodes[starts[target[1]] :])
                best = max(best, span, key=len)
    return best or tuple(opcodes), bool(best)


def opcodes(listing: str) -> tuple[str, ...]:
    """All of a disassembled kernel."""
    return tuple(found[1] for line in listing.splitlines() if (found := _INSTRUCTION.match(line)))


def _resource(usage: str, field: str) -> int:
    found = re.search(rf"\b{field}:(\d+)", usage)
    assert found is not None, f"cuobjdump says nothing of {field}: {usage!r}"
    return int(found[1])


def _tool(name: str, *arguments: str) -> str:
    import triton

    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    return subprocess.run([str(path), *arguments], check=True, capture_output=True, text=True).stdout
