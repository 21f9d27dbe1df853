"""A Python process that begins in `boot.py`: in a session of its own, and with what it is given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pv.process.environment import scrubbed

_BOOT = Path(__file__).with_name("boot.py")


def start(
    root: Path, folder: str, environment: Mapping[str, str], arguments: tuple[int, ...], *,
    passed: tuple[int, ...] = (), output: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start it.

    Args:
        root: its working directory.
        folder: for its temporary files.
        environment: variables beyond the allowed ones.
        arguments: descriptors that it inherits, whose numbers are its arguments.
        passed: further descriptors that it inherits.
        output: descriptor of its stdout and stderr.
    Raises:
        OSError, ValueError: it cannot be started.
    """
    return subprocess.Popen(
        [sys.executable, "-P", str(_BOOT), *map(str, arguments)],
        cwd=root, env=scrubbed(folder, environment), pass_fds=(*arguments, *passed), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=output, stderr=output,
    )  # fmt: skip
