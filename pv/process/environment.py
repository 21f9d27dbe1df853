"""The environment of a supervised child: an allow-list and a few fixed values.

PYTHON*, PYTEST_* and TRITON_INTERPRET change what a test proves, so none of them is handed on.
numpy's library of linear algebra gets one thread, unless the caller gave it another number: processes run side by
side, and on small matrices its threads mostly wait for each other. A test and its challenges always have the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_THREADS = ("MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ALLOWED = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TZ", "USER", "VIRTUAL_ENV",
        "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "CC", "CXX",
        "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUBLAS_WORKSPACE_CONFIG",
        "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "TRITON_CACHE_DIR",
        "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_OFFLINE", *_THREADS,
    }
)  # fmt: skip


def scrubbed(temporary: str, extra: Mapping[str, str], source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The allowed part of `source`, with `temporary` as the folder for temporary files, and `extra`."""
    kept = {name: value for name, value in source.items() if name in _ALLOWED or name.startswith("LC_")}
    return {
        "OPENBLAS_NUM_THREADS": "1",
        **kept,
        "TMPDIR": temporary,
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **extra,
    }


def threads(source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child is told about numbers of threads, by variable; what is no number is nobody's business."""
    given = scrubbed("", {}, source)
    return {name: given[name] for name in _THREADS if re.fullmatch(r"[0-9,]{1,40}", given.get(name, ""))}
