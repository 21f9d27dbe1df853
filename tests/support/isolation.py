"""Whether this machine lets a process leave its namespaces, asked of util-linux and not of the engine."""

from __future__ import annotations

import os
import subprocess
from functools import cache

import pytest


@cache
def why_not() -> str:
    """The reason that `unshare` gives; empty if it works, or is not installed: the tests then find out."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    place = ["--mount", "--pid", "--net", "--ipc", "--fork"]
    try:
        done = subprocess.run(
            ["unshare", *user, *place, "mount", "-t", "tmpfs", "none", "/tmp"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""


@pytest.fixture
def isolation() -> None:
    """Skips, with the reason, where the system gives no namespaces: `q4k eval` refuses to run there."""
    if reason := why_not():
        pytest.skip(f"this system isolates no process: {reason}")
