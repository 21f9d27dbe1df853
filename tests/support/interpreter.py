"""Tests that need Triton's interpreter, run in a process of their own: it is chosen when Triton is imported.

Such a process also survives what the interpreter does not: a load far out of bounds ends it by a signal.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def run_interpreted(folder: Path, *, at_least: int) -> None:
    """All tests of a folder pass, and there are some: a child that collects nothing proves nothing.

    Args:
        at_least: tests that must have passed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= at_least
    assert not re.search(r"skipped|xfailed|deselected", done.stdout), done.stdout
