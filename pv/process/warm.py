"""The process that forks supervised children: installed modules are imported once, and by each of them no more.

    python -P boot.py CONTROL            a socket to the parent, one packet a message

    parent                                         this process
      {"modules": [...]}              ----------->   imports them
                                      <-----------   {"ready": true}
      {"fork": FOLDER} + descriptors  ----------->   forks; the child leads a session and goes on as any other
                                      <-----------   {"pid": N}, 0 if it cannot fork
      {"reap": N}                     ----------->   waits for it; the parent has killed its group
                                      <-----------   {"code": C}

Nothing of the project is ever imported here: a module is imported only if it lies among the installed ones. What a
child does stays in the child: its descriptors, temporary folder, session and end are its own. This process ends when
the parent closes the socket or dies.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import socket
import sys
import sysconfig
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_PACKET_BYTES = 1 << 17
DESCRIPTORS = 4
"""Of a request to fork: output, spec, records, lifeline."""


def serve(descriptor: int) -> list[str]:
    """Serve the parent; returns in each child only, with the arguments that `boot.py` starts it with.

    Raises:
        SystemExit: the parent is gone.
    """
    with socket.socket(fileno=descriptor) as control:
        control.set_inheritable(False)
        _import(json.loads(control.recv(MAX_PACKET_BYTES) or b'{"modules": []}')["modules"])
        _answer(control, ready=True)
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, MAX_PACKET_BYTES, DESCRIPTORS)
            if not data:
                raise SystemExit(0)
            request: dict[str, Any] = json.loads(data)
            if "reap" in request:
                _, status = os.waitpid(request["reap"], 0)
                _answer(control, code=os.waitstatus_to_exitcode(status))
                continue
            try:
                pid = _fork()
            except OSError:
                pid = None
            if pid == 0:
                break
            for inherited in descriptors:
                os.close(inherited)
            _answer(control, pid=pid or 0)
    return _become(request["fork"], *descriptors)


def _answer(control: socket.socket, **fields: Any) -> None:
    with contextlib.suppress(OSError):  # the next read says that the parent is gone
        control.send(json.dumps(fields).encode())


def _fork() -> int:
    """As `os.fork`; the child leads its own session by the time that this process knows its number."""
    ready_r, ready_w = os.pipe()
    with warnings.catch_warnings():
        # Of threads that numpy's library of linear algebra keeps, and takes care of in the child.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        os.close(ready_w)
        os.read(ready_r, 1)
    else:
        os.setsid()
        os.close(ready_w)
    os.close(ready_r)
    return pid


def _become(folder: str, output: int, *inherited: int) -> list[str]:
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ["TMPDIR"] = folder
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]  # what it remembers is this process's folder
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # Python's own generator does this by itself after a fork
    return [str(descriptor) for descriptor in inherited]


def _import(names: Iterable[str]) -> None:
    """What cannot be imported now is left to the children."""
    importlib.import_module("pv.run.supervised")
    for name in names:
        if _is_installed(name.partition(".")[0]):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    # Else each child would look through a hundred thousand objects of libraries when it ends: 0.3 s.
    gc.collect()
    gc.freeze()


def _is_installed(package: str) -> bool:
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    folders = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return bool(found and found.origin and folders & set(Path(found.origin).parents))
