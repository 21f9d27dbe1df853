"""One stretch of a fuzz campaign: every mutant is read by the engine and judged by a second reader."""

from __future__ import annotations

import os
import resource
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from support.gguf_judge import Content, RefusedError, judge
from support.gguf_mutations import mutant

MEMORY_BYTES = 256 << 20
"""More than this above what the process holds ends in MemoryError, which is a finding."""
MAX_SECONDS = 1.0
"""Of processor time: a loaded machine is no finding."""
SHARED_MEMORY = Path("/dev/shm")
"""A million files are better not written to a disk."""


@dataclass
class Tally:
    """What came of the mutants."""

    codes: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    slowest_s: float = 0.0
    findings: list[str] = field(default_factory=list)

    @property
    def mutants(self) -> int:
        return self.accepted + sum(self.codes.values()) + len(self.findings)

    def add(self, other: Tally) -> None:
        """Take another stretch in."""
        self.codes += other.codes
        self.accepted += other.accepted
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.findings += other.findings


def limit_memory() -> None:
    """For this process, from here on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def run(seed: int, numbers: Iterable[int], *, stop_at: int = 20) -> Tally:
    """Read and judge the mutants; stops after `stop_at` findings."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="gguf-", dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        path = Path(folder, "m.gguf")
        with path.open("wb", buffering=0) as file:
            for number in numbers:
                raw = mutant(seed, number)
                file.seek(0)
                file.truncate(0)
                file.write(raw)
                began = time.process_time()
                finding = _one(path, raw, tally)
                took = time.process_time() - began
                tally.slowest_s = max(tally.slowest_s, took)
                if took > MAX_SECONDS:
                    finding = f"took {took:.1f} s"
                if finding:
                    tally.findings.append(f"mutant {number}: {finding}")
                    if len(tally.findings) >= stop_at:
                        break
    return tally


def _one(path: Path, raw: bytes, tally: Tally) -> str:
    """What is wrong with the reader's answer; empty if nothing is."""
    from engine.errors import GgufError
    from engine.gguf.reader import open_gguf

    try:
        with open_gguf(path) as file:
            found = _content(file)
    except GgufError as err:
        message = str(err)
        if not message.isprintable() or len(message) > 1000 or not message.startswith(f"m.gguf: {err.code}"):
            return f"unclear message {message[:200]!r}"
        if err.offset is not None and not 0 <= err.offset <= len(raw):
            return f"the message names byte {err.offset} of {len(raw)}"
        try:
            judge(raw)
        except RefusedError:
            tally.codes[err.code] += 1
            return ""
        return f"refused without need: {message}"
    except Exception as err:
        last = traceback.extract_tb(err.__traceback__)[-1]
        return f"{type(err).__name__} in {last.name}: {err}"
    try:
        expected = judge(raw)
    except RefusedError as err:
        return f"accepted, but {err}"
    if found != expected:
        return "accepted, with other content than the second reader sees"
    tally.accepted += 1
    return ""


def _content(file: Any) -> Content:
    from engine.gguf.strings import Strings

    content = Content()
    for key, entry in file._entries.items():
        value = entry.value
        if isinstance(value, Strings):
            raw: bytes | list[bytes] = list(value.each())
        elif isinstance(value, str):
            raw = value.encode()
        elif isinstance(value, np.ndarray):
            raw = value.tobytes()
        else:
            raw = np.array(value, _DTYPES[int(entry.type)]).tobytes()
        element = None if entry.element_type is None else int(entry.element_type)
        content.entries[key] = (int(entry.type), element, raw)
    for name, info in file.tensors.items():
        if file.data(name).nbytes != info.size_bytes:
            raise AssertionError(f"data of {name!r} has {file.data(name).nbytes} bytes, not {info.size_bytes}")
        content.tensors[name] = (int(info.type), info.shape, info.offset, info.size_bytes)
    return content


_DTYPES = dict(enumerate(("<u1", "<i1", "<u2", "<i2", "<u4", "<i4", "<f4", "|b1", "", "", "<u8", "<i8", "<f8")))
