"""What has been imported, and is it the project's own? An installed copy may come first on the import path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

# pv judges and is not judged: an installed one may well run the tests of a checkout.
_NOT_ASKED = frozenset({"__main__", "pv"}) | sys.stdlib_module_names

_LARGE: Final = frozenset(
    {"jinja2", "llvmlite", "markupsafe", "numba", "numpy", "scipy", "tokenizers", "torch", "triton"}
)
"""Libraries whose import is most of a short test's time, and that nobody replaces to break something of his own."""


def loaded() -> list[str]:
    """The modules of large libraries that are imported now, in the order in which that began."""
    return [name for name in sys.modules if name.partition(".")[0] in _LARGE]


def shadowed(root: Path) -> list[str]:
    """Files of the project, relative to its root, that were not imported because something else has their name.

    Looks at modules and packages at the top level; what is below them comes from the same place.
    """
    entries = [Path(entry) for entry in sys.path if "site-packages" not in entry]
    folders = dict.fromkeys([root, root / "src", *(entry for entry in entries if entry.is_relative_to(root))])
    found = []
    for name in sorted(name for name in sys.modules if "." not in name and name not in _NOT_ASKED):
        file = getattr(sys.modules[name], "__file__", None)
        parts = (f"{name}.py", f"{name}/__init__.py")
        own = [path for folder in folders for part in parts if (path := folder / part).is_file()]
        if own and isinstance(file, str) and not any(path.samefile(file) for path in own):
            found += [path.relative_to(root).as_posix() for path in own]
    return found
