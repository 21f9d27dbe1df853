"""Collection in a supervised child: exact node ids and marks from pytest, facts about the source from `ast`."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pv.bind.source import Sources
from pv.errors import UsageError
from pv.process.channel import ChannelError
from pv.process.nodeid import path_argument
from pv.process.pytest_options import arguments
from pv.process.supervise import Exit, supervise
from pv.schema.binding import CollectedTest, Collection, CollectionProblem
from pv.schema.settings import Settings

FILE_LIMIT_S = 60.0
"""For pytest's start, and for the import of each file."""
_ENDED = (0, 1, 5)
"""pytest's documented exit codes: all collected, some files not, nothing found."""


def collect(root: Path, settings: Settings, paths: Iterable[str], *, file_limit_s: float = FILE_LIMIT_S) -> Collection:
    """Collect files and folders below `root`.

    A file that breaks the collecting process becomes a problem, and the others are collected without it.

    Args:
        paths: relative to `root`; one that is missing or leads outside becomes a problem.
    Raises:
        ConfigError: the project's pytest settings cannot be read.
        RunError: a child cannot be started.
    """
    root = root.resolve()
    problems: list[CollectionProblem] = []
    wanted: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        try:
            wanted[path.removesuffix("/")] = path_argument(root, path.removesuffix("/"))
        except UsageError as err:
            problems.append(CollectionProblem(path, str(err)))
    skipped: list[str] = []
    watcher = _Watcher("", file_limit_s)
    while wanted:
        watcher = _Watcher(secrets.token_hex(16), file_limit_s)
        spec = {
            "plugin": "pv.bind.plugin",
            "args": [*arguments(root, settings, wanted.values(), is_run=False), "--collect-only"],
            "nonce": watcher.nonce,
            "skipped_paths": skipped,
        }
        end = supervise(root, spec, watcher)
        if watcher.exit_status in _ENDED and end.code == watcher.exit_status and not end.broken:
            break
        problem = _abnormal(watcher, end)
        problems.append(problem)
        if problem.path in skipped or not watcher.collecting:
            watcher = _Watcher("", file_limit_s)
            break
        skipped.append(problem.path)
        wanted.pop(problem.path, None)
    sources = Sources(root, settings)
    tests: list[CollectedTest] = []
    shadowed: dict[str, tuple[tuple[str, int], ...]] = {}
    for nodeid in list(watcher.tests):
        test = watcher.tests.pop(nodeid)
        tests.append(sources.describe(test))
        if test.path not in shadowed:
            shadowed[test.path] = sources.shadowed(test.path)
    hidden = tuple(item for items in shadowed.values() for item in items)
    return Collection(tuple(tests), (*problems, *watcher.problems), hidden, watcher.imported)


class _Watcher:
    """Gathers the records of one collecting child."""

    def __init__(self, nonce: str, file_limit_s: float) -> None:
        self.nonce = nonce
        self.tests: dict[str, CollectedTest] = {}
        self.problems: list[CollectionProblem] = []
        self.imported: tuple[tuple[str, int, int], ...] = ()
        self.collecting = ""
        self.exit_status: int | None = None
        self._file_limit_s = file_limit_s
        self._deadline = time.monotonic() + file_limit_s

    @property
    def deadline(self) -> float:
        return self._deadline

    def record(self, record: dict[str, Any], now: float) -> None:
        self._deadline = now + self._file_limit_s
        try:
            self._take(record)
        except (KeyError, TypeError, ValueError) as err:
            raise ChannelError(f"malformed record {record['kind'][:40]!r}: {err}") from err

    def _take(self, record: dict[str, Any]) -> None:
        match record["kind"]:
            case "start" if record["nonce"] == self.nonce:
                pass
            case "finish" if record["nonce"] == self.nonce:
                self.exit_status = int(record["exitstatus"])
            case "collect":
                self.collecting = str(record["path"])
            case "collected":
                if record["path"] == self.collecting:
                    self.collecting = ""
            case "problem":
                outcome = "skips itself: " if record["outcome"] == "skipped" else ""
                path = str(record["id"]).partition("::")[0] or "."
                self.problems.append(CollectionProblem(path, outcome + str(record["message"])))
            case "imported":
                self.imported = tuple((str(path), int(size), int(time_ns)) for path, size, time_ns in record["files"])
            case "item":
                # Contracts hold the same node ids and names, and many tests the same path.
                test = CollectedTest(
                    nodeid=sys.intern(str(record["id"])),
                    path=sys.intern(str(record["path"])),
                    line=int(record["line"]),
                    falsifies=tuple(sys.intern(str(name)) for name in record["falsifies"]),
                    unconditional_skip=None if record["skip"] is None else str(record["skip"]),
                    xfail=bool(record["xfail"]),
                )
                self.tests[test.nodeid] = test
            case kind:
                raise ChannelError(f"unexpected record {kind[:40]!r}")


def _abnormal(watcher: _Watcher, end: Exit) -> CollectionProblem:
    lines = [line.strip() for line in end.output.splitlines() if line.strip()]
    last = f": {lines[-1][:200]}" if lines else ""
    if end.timed_out:
        what = "did not finish within the limit"
    elif end.broken:
        what = f"sent records that cannot be trusted: {end.broken}"
    elif end.signal_name:
        what = f"died of {end.signal_name}"
    else:
        what = f"exited with status {end.code}{last}"
    return CollectionProblem(watcher.collecting or ".", f"collection {what}")
