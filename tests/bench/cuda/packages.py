"""Which packages each part needs, what to do where they are missing, and an interpreter whose children see all of them.

pv gives its test processes no PYTHONPATH, because that changes what a test proves. So packages that are only on the
path of this process go into an environment of their own, by reference; nothing is installed or copied.
"""

from __future__ import annotations

import site
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

SPEEDS = {"numpy": "numpy", "torch": "torch", "triton": "triton"}
"""Module -> package, for the benchmark and the parity gate."""
DISCHARGE = SPEEDS | {
    "execnet": "execnet",
    "jinja2": "jinja2",
    "jsonschema": "jsonschema",
    "numba": "numba",
    "pydantic": "pydantic",
    "pytest": "pytest",
    "xdist": "pytest-xdist",
    "ruamel.yaml": "ruamel.yaml",
    "tokenizers": "tokenizers",
    "typer": "typer",
    "yaml": "pyyaml",
}


def missing(needed: dict[str, str]) -> list[str]:
    """Packages whose module cannot be found."""
    return sorted(package for module, package in needed.items() if not _there(module))


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def advice(packages: Sequence[str]) -> list[str]:
    """How to bring packages to a machine without a network."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [
        f"missing: {', '.join(packages)}",
        "where there is a network:",
        f"  python tests/bench/cuda/pack.py --python {version} --to build/site",
        "then here, with that folder: PYTHONPATH=build/site python tests/bench/cuda/run.py",
    ]


def interpreter(folder: Path, root: Path) -> Path:
    """A Python in `folder` that finds, without PYTHONPATH, what this one finds, and the project at `root`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    ask = [str(python), "-c", "import site; print(site.getsitepackages()[0])"]
    own = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    places = [str(root), *(entry for entry in sys.path if entry and Path(entry).is_dir()), *site.getsitepackages()]
    standard = {str(Path(path)) for path in _standard()}
    lines = [f"import site; site.addsitedir({place!r})" for place in dict.fromkeys(places) if place not in standard]
    (own / "seen_elsewhere.pth").write_text("".join(f"{line}\n" for line in lines))
    return python


def _standard() -> list[str]:
    """Folders of the standard library, which every interpreter has."""
    lib = Path(site.__file__).parent
    return [str(lib), str(lib / "lib-dynload"), str(Path(__file__).parent)]
