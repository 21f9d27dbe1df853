"""Entry file of every supervised child: `python -P boot.py SPEC RECORDS LIFELINE`.

The three arguments are inherited descriptors, so nothing that a contract says is on a command line:

    SPEC      an anonymous file with one JSON object, read once and closed
    RECORDS   a pipe to the parent, one JSON object a line
    LIFELINE  a pipe whose other end only the parent holds; when the parent dies, the kernel kills this process group

A worker of pytest-xdist starts in the same way; its spec names two more descriptors, see `pv.process.gateway`. With
one argument it is the process that children are forked from, see `pv.process.warm`; they go on here.
The standard library alone is imported before the spec is known. `pv` is appended to `sys.path` if it is not
installed, and the project's root after it, so that neither can hide an installed module.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

# Linux: choose the signal that O_ASYNC sends (fcntl.h).
_F_SETSIG = 10
_HOME = str(Path(__file__).resolve().parents[2])


def _die_with_parent(lifeline: int) -> None:
    # Where O_ASYNC on pipes is missing, the parent's own clean-up has to do.
    with contextlib.suppress(OSError):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def main(argv: list[str]) -> int:
    spec_fd, records_fd, lifeline = (int(argument) for argument in argv)
    for descriptor in (records_fd, lifeline):
        os.set_inheritable(descriptor, False)
    _die_with_parent(lifeline)
    with os.fdopen(spec_fd, "rb") as stream:
        spec: dict[str, Any] = json.loads(stream.read())
    # A crash is a result here; a core file for each would fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path.extend(entry for entry in (_HOME, spec["root"]) if entry not in sys.path)
    sys.argv = ["pytest"]

    plugin_module = importlib.import_module(spec["plugin"])
    if spec["gateway"]:
        gateway = importlib.import_module("pv.process.gateway")
        return int(gateway.serve(plugin_module.create(spec, records_fd), *spec["gateway"]))
    import pytest

    plugin = plugin_module.create(spec, records_fd)
    return int(pytest.main(spec["args"], plugins=[plugin]))


def arguments(argv: list[str]) -> list[str]:
    """Those of `main`: given, or asked for by the parent."""
    if len(argv) > 1:
        return argv
    if _HOME not in sys.path:
        sys.path.append(_HOME)
    found: list[str] = importlib.import_module("pv.process.warm").serve(int(argv[0]))
    return found


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
