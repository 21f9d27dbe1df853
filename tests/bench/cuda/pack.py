"""Packages for a GPU machine without a network, where torch, triton, numpy and numba are and the rest of pv's is not.

    python tests/bench/cuda/pack.py --python 3.12         here, with a network: fills build/site
    PYTHONPATH=build/site python3 tests/bench/cuda/run.py     there, with the checkout and that folder

The versions are those of constraints.txt; nothing is installed into this Python. About 40 MB.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import packages

ROOT = Path(__file__).resolve().parents[3]
THERE = ("torch", "triton", "numpy", "numba")
"""Large, and a part of what makes that machine one with a GPU."""
ALONE = ("tokenizers",)
"""Whose dependencies are for downloading models."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64")


def commands(python: str, target: Path) -> list[list[str]]:
    """Calls of pip."""
    needed = [name for name in packages.DISCHARGE.values() if name not in THERE]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    pip += ["--target", str(target), "--upgrade", "--only-binary=:all:", "--implementation", "cp"]
    pip += ["--python-version", python, *(part for name in PLATFORMS for part in ("--platform", name))]
    pip += ["--constraint", str(ROOT / "constraints.txt")]
    return [
        [*pip, *(name for name in needed if name not in ALONE)],
        [*pip, "--no-deps", *(name for name in needed if name in ALONE)],
    ]


def main() -> int:
    """Fill the folder anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="of that machine; 3.12")
    parser.add_argument("--to", type=Path, default=Path("build/site"), metavar="FOLDER", help="build/site")
    options = parser.parse_args()
    shutil.rmtree(options.to, ignore_errors=True)
    for command in commands(options.python, options.to):
        if status := subprocess.run(command, check=False).returncode:
            return status
    size = sum(path.stat().st_size for path in options.to.rglob("*") if path.is_file())
    print(f"{options.to}: {size / 1e6:.0f} MB for Python {options.python}; there, beside the checkout:")
    print(f"  PYTHONPATH={options.to} python3 tests/bench/cuda/run.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
