"""Kernels made by numba, in processes of their own: it takes half a second to import, and 40 MB that stay."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.ops.cpu.isa import Processor, cores, processor

KERNELS = {
    **dict.fromkeys(("product", "series", "float_product", "swiglu"), "products"),
    **dict.fromkeys(("quantise", "offsets", "digits"), "activations"),
    **dict.fromkeys(("embedding", "add", "norm", "angles", "turn", "append"), "rows"),
    "attention": "attention",
    "interleave": "interleave",
    **dict.fromkeys(("serve", "share", "share_all"), "pool"),
    "read_words": "bandwidth",
}
"""Module of each kernel under `engine.ops.cpu.kernels`."""

ENTRY = "kernel"
"""Name of a kernel in its object file."""

_PACKAGE = "engine.ops.cpu.kernels"
_ROOT = Path(__file__).parents[3]
_LENGTH_BYTES = 8


def object_codes(labels: Sequence[str]) -> dict[str, bytes]:
    """An object file for each label, such as product-12-1-2-8-16: a kernel and the constants that it is made for."""
    if not labels or "numba" in sys.modules:
        return {label: object_code(label, processor()) for label in labels}
    count = min(len(labels), cores())
    try:
        return _made_apart([labels[number::count] for number in range(count)], processor())
    except OSError:  # processes are limited: then here
        return {label: object_code(label, processor()) for label in labels}


def object_code(label: str, of: Processor) -> bytes:
    """An object file for one label, made in this process."""
    name, *numbers = label.split("-")
    compiler = importlib.import_module(f"{_PACKAGE}.compile")
    kernel = getattr(importlib.import_module(f"{_PACKAGE}.{KERNELS[name]}"), name)(*map(int, numbers))
    code: bytes = compiler.object_code(kernel, of)
    return code


def child(arguments: Sequence[str]) -> None:
    """What a process does that makes kernels: name and features of the processor, labels."""
    name, features, *labels = arguments
    for label in labels:
        code = object_code(label, Processor(name, features))
        sys.stdout.buffer.write(len(code).to_bytes(_LENGTH_BYTES, "little") + code)


def _made_apart(shares: Sequence[Sequence[str]], of: Processor) -> dict[str, bytes]:
    """As `object_codes`, a process for each share.

    Raises:
        OSError: a process could not start, or did not end well.
    """
    command = [sys.executable, "-P", "-m", _PACKAGE, of.name, of.features]
    places = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    children: list[subprocess.Popen[bytes]] = []
    found = {}
    try:
        for labels in shares:
            children.append(subprocess.Popen([*command, *labels], env=environment, **streams))
        for labels, process in zip(shares, children, strict=True):
            written, _ = process.communicate()
            if process.returncode:
                raise ChildProcessError(f"ended with {process.returncode}")
            for label in labels:
                size = int.from_bytes(written[:_LENGTH_BYTES], "little")
                found[label] = written[_LENGTH_BYTES : _LENGTH_BYTES + size]
                written = written[_LENGTH_BYTES + size :]
    finally:
        for process in children:
            process.kill()
            process.wait()
    return found
