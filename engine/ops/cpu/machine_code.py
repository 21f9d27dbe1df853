"""Machine code of the kernels: kept on disk, made by numba where it is missing, linked by LLVM."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable

import llvmlite.binding as llvm

from engine.ops.cpu import isa, kept_code, maker

Kernel = tuple[str, *tuple[int, ...]]
"""One of `engine.ops.cpu.maker.makers`, and the constants that it is made for."""

_lock = threading.Lock()
_linked: dict[str, tuple[int, object]] = {}


def load(*kernels: Kernel) -> None:
    """Load kernels now; those that are missing are made side by side."""
    with _lock:
        labels = dict.fromkeys(label for label in map(_label, kernels) if label not in _linked)
        codes = {label: code for label in labels if (code := kept_code.read(label))}
        made = maker.object_codes([label for label in labels if label not in codes])
        for label, code in made.items():
            kept_code.write(label, code)
        for label, code in (codes | made).items():
            _linked[label] = link(label, code)


@functools.cache  # each operation asks for its kernels
def kernel(name: str, *numbers: int) -> int:
    """Address of a kernel: a C function of 64-bit integers, which returns one.

    Args:
        name: one of `engine.ops.cpu.maker.makers`.
        numbers: the constants that it is made for.
    """
    load((name, *numbers))
    return _linked[_label((name, *numbers))][0]


@functools.cache
def kernel_function(name: str, *numbers: int, arguments: int) -> Callable[..., int]:
    """A kernel as something that Python can call, without the interpreter lock."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arguments)
    return prototype(kernel(name, *numbers))


def link(label: str, code: bytes) -> tuple[int, object]:
    """Address of the kernel in an object file, and what holds its memory as long as it lives."""
    library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(maker.ENTRY)
    tracker = library.link(_linker(), label)
    return tracker[maker.ENTRY], tracker


@functools.cache
def _linker() -> llvm.LLJIT:
    return llvm.create_lljit_compiler(isa.processor().machine())


def _label(of: Kernel) -> str:
    return "-".join(map(str, of))
