"""Kernels made by numba, in processes of their own: it takes half a second to import, and 40 MB that stay."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.ops.cpu.isa import Processor, cores, processor

ENTRY = "kernel"
"""Name of a kernel in its object file."""


def _nothing(_count: int) -> None:
    """Say nothing."""


announce: Callable[[int], None] = _nothing
"""Called with the number of kernels before they are made, which takes seconds; for who shows that to a user."""

_CHILD = "from engine.ops.cpu.maker import child; child()"
_ROOT = Path(__file__).parents[3]
_LENGTH_BYTES = 8


def object_codes(labels: Sequence[str]) -> dict[str, bytes]:
    """An object file for each label, such as product-12-1-2-8-16: a kernel and the constants that it is made for."""
    if not labels:
        return {}
    announce(len(labels))
    if "numba" not in sys.modules:
        count = min(len(labels), cores())
        with suppress(OSError):  # processes are limited: then here
            return _made_apart([labels[number::count] for number in range(count)], processor())
    return {label: object_code(label, processor()) for label in labels}


def object_code(label: str, of: Processor) -> bytes:
    """An object file for one label, made in this process."""
    from engine.ops.cpu.kernels.compile import object_code

    name, *numbers = label.split("-")
    return object_code(makers()[name](*map(int, numbers)), of)


def makers() -> dict[str, Callable[..., Callable[..., int | None]]]:
    """What makes each kernel, from its constants."""
    from engine.ops.cpu.kernels import activations, attention, bandwidth, interleave, pool, products, rows

    return {
        "product": products.product,
        "series": products.series,
        "float_product": products.float_product,
        "swiglu": products.swiglu,
        "quantise": activations.quantise,
        "offsets": activations.offsets,
        "digits": activations.digits,
        "embedding": rows.embedding,
        "add": rows.add,
        "norm": rows.norm,
        "angles": rows.angles,
        "turn": rows.turn,
        "append": rows.append,
        "attention": attention.attention,
        "interleave": interleave.interleave,
        "serve": pool.serve,
        "share": pool.share,
        "share_all": pool.share_all,
        "read_words": bandwidth.read_words,
    }


def child() -> None:
    """What a process does that makes kernels: its arguments are name and features of the processor, and labels."""
    name, features, *labels = sys.argv[1:]
    for label in labels:
        code = object_code(label, Processor(name, features))
        sys.stdout.buffer.write(len(code).to_bytes(_LENGTH_BYTES, "little") + code)


def _made_apart(shares: Sequence[Sequence[str]], of: Processor) -> dict[str, bytes]:
    """As `object_codes`, a process for each share.

    Raises:
        OSError: a process could not start, or did not end well.
    """
    command = [sys.executable, "-P", "-c", _CHILD, of.name, of.features]
    places = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
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
