"""Where kernels of this process run: on a GPU, under Triton's interpreter, or nowhere but through the compiler.

    gpu           TRITON_INTERPRET unset; memory on the device
    interpreted   TRITON_INTERPRET=1; memory on the host
    compiling     inside `engine.ops.cuda.compiled.compiled_instead`; memory without storage

An interpreter result is no GPU result: `name` says which it is, and run records carry it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import triton

from engine.errors import BackendError

# Triton 3.6 reads a run-time loop bound of its interpreter as an array of one element, which numpy refuses from 2.4 on.
_FIRST_WITH_SCALAR_INDEX = (3, 7)

_compiling: int | None = None


def is_interpreted() -> bool:
    """Whether kernels run under Triton's interpreter; decided when triton was imported."""
    return bool(triton.knobs.runtime.interpret)


def name() -> str:
    """'cuda:sm_90', 'cuda-interpreted' or 'cuda-compiled', as contracts name their targets."""
    if _compiling is not None:
        return "cuda-compiled"
    return "cuda-interpreted" if is_interpreted() else f"cuda:sm_{capability()}"


def capability() -> int:
    """90 for sm_90; 0 under the interpreter.

    Raises:
        BackendError: there is no GPU that this process can use.
    """
    if _compiling is not None:
        return _compiling
    if is_interpreted():
        return 0
    require_gpu()
    major, minor = torch.cuda.get_device_capability()
    return 10 * int(major) + int(minor)


def device() -> Any:
    """The torch device of weights and activations.

    Raises:
        BackendError: there is no GPU that this process can use.
    """
    if _compiling is not None:
        return torch.device("meta")
    if is_interpreted():
        return torch.device("cpu")
    require_gpu()
    return torch.device("cuda", torch.cuda.current_device())


def require_gpu() -> None:
    """Raises:
    BackendError: torch was built without CUDA, or finds no GPU, or the GPU is older than sm_80.
    """
    if torch.version.cuda is None:
        raise BackendError("backend 'cuda': this torch is built without CUDA; install a CUDA build, or use cpu")
    if not torch.cuda.is_available():
        raise BackendError("backend 'cuda': torch finds no usable NVIDIA GPU; check the driver, or use cpu")
    if torch.cuda.get_device_capability() < (8, 0):
        found = "sm_{}{}".format(*torch.cuda.get_device_capability())
        raise BackendError(f"backend 'cuda': the GPU is {found}, kernels are made for sm_80 and later; use cpu")


def assembly() -> bool:
    """Whether kernels may use instructions that only a GPU has."""
    return not (is_interpreted() and _compiling is None)


def put(array: npt.NDArray[Any]) -> Any:
    """A tensor of the array's type and shape on `device`; it is there when this returns."""
    place = device()
    # Torch warns at every read-only array. On the host a copy is needed besides: the interpreter takes two tensors that
    # begin at one address for one storage.
    is_usable = array.flags.writeable and array.flags.c_contiguous and place.type != "cpu"
    return torch.from_numpy(array if is_usable else np.array(array, order="C")).to(place)


def finish() -> None:
    """Wait for all copies between places on the device: kernels may read weights while those before them still run."""
    if device().type == "cuda":
        torch.cuda.current_stream().synchronize()


def facts() -> dict[str, Any]:
    """Device, driver and versions, for the run record."""
    found: dict[str, Any] = {"target": name(), "torch": torch.__version__, "triton": triton.__version__}
    if _compiling is None and not is_interpreted():
        properties = torch.cuda.get_device_properties(device())
        found |= {
            "device": properties.name,
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            "driver": _driver(),
        }
    return found


def _driver() -> str:
    try:
        lines = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "unknown"
    return " ".join(lines[0].split()) if lines else "unknown"


@contextmanager
def compiling_for(sm: int) -> Iterator[None]:
    """Inside, tensors have no storage and the capability is `sm`, 90 for sm_90."""
    global _compiling
    before, _compiling = _compiling, sm
    try:
        yield
    finally:
        _compiling = before


def _mend_interpreter() -> None:
    from triton.runtime import interpreter

    version = tuple(int(part) for part in importlib.metadata.version("triton").split(".")[:2])
    if version >= _FIRST_WITH_SCALAR_INDEX:
        return
    original = interpreter._patch_lang_tensor

    def patched(tensor: Any, *arguments: Any) -> None:
        original(tensor, *arguments)
        tensor.__index__ = lambda self: int(np.asarray(self.handle.data).squeeze())

    interpreter._patch_lang_tensor = patched


if is_interpreted():
    _mend_interpreter()
