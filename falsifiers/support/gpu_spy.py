"""`python -m falsifiers.support.gpu_spy REPORT ARGS...`: runs `q4k ARGS...` and reports every touch of a GPU library.

Watched from the first line on: imports of GPU packages (found or not), opened device files, loaded CUDA libraries.
REPORT becomes a JSON list of what was touched; the exit code is that of q4k.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PACKAGES = frozenset({"torch", "triton", "cupy", "jax", "pycuda", "pynvml", "tensorflow"})
MARKS = ("/dev/nvidia", "/dev/dri", "libcuda", "libnvidia", "libamdhip", "nvcuda")

touched: list[str] = []


class _Finder:
    """Sees every import that is not yet loaded, and leaves it to the finders behind."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name in PACKAGES:
            touched.append(f"import {name}")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "ctypes.dlopen") and arguments and any(mark in str(arguments[0]) for mark in MARKS):
        touched.append(f"{event} {arguments[0]}")


def main() -> int:
    sys.meta_path.insert(0, _Finder)
    sys.addaudithook(_audit)
    report, sys.argv = Path(sys.argv[1]), ["q4k", *sys.argv[2:]]
    from falsifiers.support import faults

    with ExitStack() as entered:
        for name in os.environ.get(faults.IN_CHILD, "").split():
            entered.enter_context(getattr(faults, name)())
        from engine.cli.main import main as q4k

        try:
            q4k()
        except SystemExit as ended:
            code = ended.code
    report.write_text(json.dumps(touched), encoding="utf-8")
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    sys.exit(main())
