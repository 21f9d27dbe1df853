"""Runs the tests of `interpreted/` in a process of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "interpreted"


def test_kernels_under_the_interpreter() -> None:
    """All of them pass, and there are some: a child that collects nothing proves nothing.

    A process of its own also survives what the interpreter does not: a load far out of bounds ends it by a signal.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) >= 250
    assert not re.search(r"skipped|xfailed|deselected", done.stdout), done.stdout
