"""Who imports whom in this repository, by grimp: an independent judge of import closures."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGES = ("pv", "engine", "falsifiers")

_LITERAL = re.compile(r"""import_module\(\s*["']([\w.]+)["']""")


def bundled_graph(folder: Path) -> grimp.ImportGraph:
    """The graph of `PACKAGES`, and two rules of Python that grimp leaves out.

    Importing a.b runs a/__init__.py, and `import_module("a.b")` imports it.

    Args:
        folder: an empty one, for a copy of the falsifiers in which every folder is a package: below a package grimp
            reads no others.
    """
    copied = folder / "falsifiers"
    shutil.copytree(ROOT / "falsifiers", copied, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*copied.rglob("*/")]:
        (path / "__init__.py").touch()
    with on_path(folder, ROOT, without=("falsifiers",)):
        graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    for module in sorted(graph.modules):
        parent = module.rpartition(".")[0]
        if parent:
            graph.add_import(importer=module, imported=parent)
        for name in _LITERAL.findall(file_of(module).read_text()) if file_of(module).is_file() else ():
            if name in graph.modules:
                graph.add_import(importer=module, imported=name)
    return graph


@contextmanager
def on_path(*folders: Path, without: Iterable[str] = ()) -> Iterator[None]:
    """grimp asks Python's own finder where packages are, which looks at loaded modules first, then at `sys.path`.

    Args:
        without: loaded modules that it shall not see.
    """
    path, loaded = sys.path[:], {name: sys.modules.pop(name) for name in without if name in sys.modules}
    sys.path[:0] = map(str, folders)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        sys.modules.update(loaded)


def file_of(module: str) -> Path:
    """The module's file in this repository, whether it is there or not."""
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def module_of(path: str) -> str:
    """The dotted name of a file given relative to the root."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def files_of(modules: Iterable[str]) -> frozenset[Path]:
    """Files of modules; a folder without `__init__.py` runs nothing."""
    return frozenset(path for path in map(file_of, modules) if path.is_file())
