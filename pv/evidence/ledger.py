"""The ledger: one append-only, hash-chained file of JSON lines per host.

    {"event": "intent" | "result" | "end", "index": n, "prev": sha256 of the line before, "run": id, "time": ..., ...}

An intent line is written before a run, so that a run that never ended stays visible.
The first line's `prev` is 64 zeros. Appending needs the store's lock.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pv.atomic import append_line
from pv.errors import EvidenceError
from pv.evidence.store import canonical

GENESIS = "0" * 64

_TAIL_BYTES = 1 << 16  # more than any line: an entry holds ids and digests, never output


class Ledger:
    def __init__(self, folder: Path, host: str) -> None:
        self.path = folder / "ledger" / f"{host}.jsonl"

    def append(self, event: str, *, run: str, time: str, **fields: Any) -> None:
        """Add one line; the caller holds the store's lock.

        Raises:
            EvidenceError: the file ends in half a line, or cannot be written.
        """
        last = self._last_line()
        index, prev = 0, GENESIS
        if last is not None:
            index = int(json.loads(last)["index"]) + 1
            prev = hashlib.sha256(last).hexdigest()
        line = {"event": event, "index": index, "prev": prev, "run": run, "time": time, **fields}
        append_line(self.path, canonical(line))

    def verify(self) -> list[str]:
        """Problems of the chain, one line each; empty if every line follows from the one before."""
        problems = []
        prev = GENESIS
        for index, line in enumerate(self.lines()):
            where = f"ledger/{self.path.name}:{index + 1}"
            try:
                entry = json.loads(line)
            except ValueError:
                problems.append(f"{where}: is not JSON")
                entry = {}
            if entry.get("index") != index:
                problems.append(f"{where}: index is {entry.get('index')}; expected {index}")
            if entry.get("prev") != prev:
                problems.append(f"{where}: does not follow from the line before it")
            prev = hashlib.sha256(line).hexdigest()
        return problems

    def lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as err:
            raise EvidenceError(f"ledger/{self.path.name}: cannot be read: {err.strerror or err}") from err

    def _last_line(self) -> bytes | None:
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _TAIL_BYTES))
                tail = file.read()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise EvidenceError(f"ledger/{self.path.name}: cannot be read: {err.strerror or err}") from err
        if not tail:
            return None
        if not tail.endswith(b"\n"):
            raise EvidenceError(f"ledger/{self.path.name}: ends in half a line; remove that line and run again")
        return tail.splitlines(keepends=True)[-1]
