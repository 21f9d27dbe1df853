"""The reporting plugin of a collecting child: what pytest found, as records to the parent.

    start    nonce
    collect  path: a module is about to be imported; then `collected`
    problem  id, outcome, message
    item     id, path, line, falsifies, skip, xfail
    imported files: [path, size, mtime_ns] of every loaded module
    finish   nonce, exitstatus

Marks come from pytest, which knows the classes and modules around a test; the source is read by the parent.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from pv.process.channel import Writer

_EXCEPTION = re.compile(r"[\w.]+: ")


def create(spec: dict[str, Any], descriptor: int) -> Collecting:
    """Called by `pv.process.boot`."""
    return Collecting(spec, Writer(descriptor))


class Collecting:
    """One `pytest --collect-only` under supervision."""

    def __init__(self, spec: dict[str, Any], writer: Writer) -> None:
        self._nonce: str = spec["nonce"]
        self._root: str = spec["root"]
        self._skipped_paths = frozenset(spec["skipped_paths"])
        self._send = writer.send
        self._send("start", nonce=self._nonce)

    def pytest_ignore_collect(self, collection_path: Any) -> bool | None:
        relative = str(collection_path).removeprefix(f"{self._root}/")
        return True if relative in self._skipped_paths else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.Module):
            self._send("collect", path=collector.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            message = _message(report).replace(f"{self._root}/", "")
            self._send("problem", id=report.nodeid, outcome=report.outcome, message=message)
        self._send("collected", path=report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            path, line, _ = item.location
            self._send(
                "item", id=item.nodeid, path=path, line=(line or 0) + 1,
                falsifies=[str(name) for mark in item.iter_markers("falsifies") for name in mark.args],
                skip=_skip_reason(item), xfail=any(True for _ in item.iter_markers("xfail")),
            )  # fmt: skip

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        yield
        self._send("imported", files=_imported())
        self._send("finish", nonce=self._nonce, exitstatus=int(session.exitstatus))


def _imported() -> list[tuple[str, int, int]]:
    files = {
        path for module in list(sys.modules.values()) if isinstance(path := getattr(module, "__file__", None), str)
    }
    found = []
    for path in sorted(files):
        with suppress(OSError):
            status = os.stat(path)  # noqa: PTH116 - thousands of them
            found.append((path, status.st_size, status.st_mtime_ns))
    return found


def _skip_reason(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("skip")
    if mark is None:
        return None
    return str(mark.kwargs.get("reason") or (mark.args[0] if mark.args else "no reason given"))


def _message(report: pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")[:300]
    lines = [line for line in report.longreprtext.splitlines() if line.strip()]
    # pytest marks the lines of the exception itself with E.
    marked = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ")]
    named = [line for line in marked if _EXCEPTION.match(line)]
    return next(iter([*named, *marked, *lines[-1:]]), "").strip()[:300]
