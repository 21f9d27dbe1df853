"""A lease on one accelerator: one process of ours on a device at a time.

    CUDA_VISIBLE_DEVICES of the caller, or one index for each /dev/nvidiaN    the visible list
    a lock file for each entry of it, held while the child lives              the lease
    CUDA_VISIBLE_DEVICES = that entry, in the child's environment             set before the child imports anything

The lock is the kernel's, so a process that dies gives its device back. It keeps apart what pv starts, also from two
commands of one user; other programs take no notice, and a device that is named `0` here and `GPU-...` there has two
locks. Without a visible device there is nothing to lease, and the child runs as it is: its tests say what is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pv.errors import RunError
from pv.process.supervise import Stopped

WAIT_LIMIT_S = 1800.0
"""Longest wait for a device that another process of ours holds."""
_POLL_S = 0.1
_NODE = re.compile(r"nvidia[0-9]+")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def needs_device(target: str) -> bool:
    """`cuda-interpreted` and `cuda-compiled` run on the CPU."""
    return target == "cuda" or target.startswith("cuda:")


def visible_devices(environment: Mapping[str, str], nodes: Path = Path("/dev")) -> tuple[str, ...]:
    """The caller's devices as CUDA reads them: the list ends before the first entry that names none."""
    listed = environment.get(_VISIBLE)
    if listed is None:
        count = sum(_NODE.fullmatch(entry.name) is not None for entry in nodes.iterdir())
        return tuple(map(str, range(count)))
    found: list[str] = []
    for entry in listed.split(","):
        name = entry.strip()
        if not name or name.startswith("-"):
            break
        found.append(name)
    return tuple(dict.fromkeys(found))


@contextmanager
def leased(
    target: str, *, stop: threading.Event | None = None, environment: Mapping[str, str] = os.environ,
    nodes: Path = Path("/dev"), folder: Path | None = None,
) -> Iterator[dict[str, str]]:  # fmt: skip
    """Hold one free device; gives what the child's environment needs.

    Raises:
        Stopped: `stop` was set while waiting.
        RunError: every device stayed in use for `WAIT_LIMIT_S`, or the locks cannot be kept.
    """
    devices = visible_devices(environment, nodes) if needs_device(target) else ()
    if not devices:
        yield {}
        return
    locks = folder or _folder(environment)
    deadline = time.monotonic() + WAIT_LIMIT_S
    while True:
        for device in devices:
            descriptor = _take(locks, device)
            if descriptor is not None:
                try:
                    yield {_VISIBLE: device}
                finally:
                    os.close(descriptor)
                return
        if stop is not None and stop.is_set():
            raise Stopped
        if time.monotonic() > deadline:
            raise RunError(
                f"device {', '.join(devices)}: in use by other runs of pv for {WAIT_LIMIT_S:g} s; wait for them, "
                f"or set {_VISIBLE} to others"
            )
        time.sleep(_POLL_S)


def _take(folder: Path, device: str) -> int | None:
    """A descriptor that holds the device's lock, or None where somebody else has it."""
    name = hashlib.sha256(device.encode()).hexdigest()[:16]
    try:
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as err:
        raise RunError(f"{folder}: no lock for device {device}: {err.strerror or err}") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _folder(environment: Mapping[str, str]) -> Path:
    """A folder of this user alone."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = base / f"pv-devices-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
    except OSError as err:
        raise RunError(f"{folder}: cannot be made: {err.strerror or err}") from err
    if owner != os.getuid() or folder.is_symlink():
        raise RunError(f"{folder}: belongs to somebody else, so device locks there mean nothing")
    return folder
