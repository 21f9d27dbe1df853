"""What figures depend on besides the model."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np


def machine() -> dict[str, str | int | float]:
    """Processor, cores that this process may use, load of the last minute, versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
