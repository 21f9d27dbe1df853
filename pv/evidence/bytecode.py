"""Compiled copies of what was fingerprinted, removed so that what runs is what was hashed.

Python, and pytest for test files, run `__pycache__/<module>.*.pyc` instead of a source file of the same size and time.
An edit within one second that keeps the size is not seen by that, and neither is a copy that somebody put there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pv.errors import EvidenceError


def remove_compiled(root: Path, names: Iterable[str]) -> None:
    """Remove the compiled copies of Python files; the first process that imports them writes new ones.

    Args:
        names: of files, relative to `root`.
    Raises:
        EvidenceError: one cannot be removed.
    """
    stems: dict[Path, set[str]] = defaultdict(set)
    for name in names:
        path = root / name
        if path.suffix == ".py":
            stems[path.parent / "__pycache__"].add(path.stem)
    for folder, wanted in stems.items():
        for copy in folder.glob("*.pyc"):
            if copy.name.partition(".")[0] in wanted:
                try:
                    copy.unlink(missing_ok=True)
                except OSError as err:
                    shown = copy.relative_to(root).as_posix()
                    raise EvidenceError(
                        f"{shown}: cannot be removed: {err.strerror or err}; tests would run it and not its source"
                    ) from err
