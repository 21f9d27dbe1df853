"""Run a command of ours as a user does, and keep all three things it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def run(module: str, *args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120) -> Said:
    """`python -m module args...` at 80 columns, without colour, and without the caller's pytest settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PV_", "PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=cwd,
        env={**kept, "COLUMNS": "80", "NO_COLOR": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def pv(*args: str, cwd: Path, env: Mapping[str, str] | None = None) -> Said:
    return run("pv", *args, cwd=cwd, env=env)
