"""A function of 64-bit integers to machine code that needs neither Python nor numba to run.

numba makes LLVM code of the function, for its own calling convention: results and errors through pointers. An entry of
the C convention is added, all else is made internal, and what nobody calls is left out, with it what numba needs to
raise an error. LLVM then emits an object file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba

from engine.ops.cpu.isa import Processor
from engine.ops.cpu.maker import ENTRY

# What code may ask a process for: the C library and its mathematics.
_FOREIGN = frozenset({"malloc", "free", "memcpy", "memmove", "memset", "cos", "sin", "sincos", "sqrt", "sqrtf"})

inlined = numba.njit(error_model="numpy")
"""For a function that kernels call."""
copied = numba.njit(error_model="numpy", inline="always")
"""For a function whose code each caller gets, before anything else is done with it."""


def object_code(function: Callable[..., Any], processor: Processor) -> bytes:
    """An object file with `ENTRY`.

    Raises:
        TypeError: the function needs more than the C library, such as an array of its own.
    """
    signature = inspect.signature(function)
    count = len(signature.parameters)
    returned = "void" if signature.return_annotation in (None, "None") else "int64"
    made = numba.cfunc(f"{returned}({', '.join(['int64'] * count)})", error_model="numpy")(function)
    module = llvm.parse_assembly(made.inspect_llvm())
    module.link_in(llvm.parse_assembly(_entry(made.native_name.removeprefix("cfunc."), count)))
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != ENTRY:
            value.linkage = llvm.Linkage.internal
    machine = processor.machine()
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    asked = {value.name for value in module.functions if value.is_declaration}
    if foreign := sorted(name for name in asked - _FOREIGN if not name.startswith("llvm.")):
        raise TypeError(f"{function.__module__}.{function.__qualname__} is no kernel: it needs {', '.join(foreign)}")
    code: bytes = machine.emit_object(module)
    return code


def _entry(name: str, count: int) -> str:
    """LLVM code of the entry, which calls function `name` in numba's convention: a status that is not 0 is an error.

    The other function is what numba calls when the last reference to an array goes: nobody has one here.
    """
    arguments = ", ".join(f"i64 %a{number}" for number in range(count))
    return f"""
        define i64 @{ENTRY}({arguments}) {{
          %result = alloca i64
          %error = alloca ptr
          store i64 0, ptr %result
          %status = call i32 @"{name}"(ptr %result, ptr %error, {arguments})
          %failed = icmp ne i32 %status, 0
          br i1 %failed, label %stop, label %end
        stop:
          call void @llvm.trap()
          unreachable
        end:
          %found = load i64, ptr %result
          ret i64 %found
        }}
        define void @NRT_MemInfo_call_dtor(ptr %array) {{
          call void @llvm.trap()
          unreachable
        }}
        declare i32 @"{name}"(ptr, ptr, {", ".join(["i64"] * count)})
        declare void @llvm.trap()
        """
