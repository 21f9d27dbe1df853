"""The worker's end of pytest-xdist: execnet's protocol over two inherited descriptors, one pytest session, then exit.

The controller sends the code of `xdist.remote` (which calls pytest) and the indexes of the tests to run; reports go
back to it for scheduling alone. The process ends as one with a session of its own does: by itself, right after the
session, with pytest's exit status, whatever the controller does.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from execnet.gateway_base import Popen2IO, WorkerGateway, get_execmodel

from pv.process import inject

_TELLS_NOTHING: dict[str, Any] = {
    "keywords": {},
    "sections": [],
    "user_properties": [],
    "longrepr": None,
    "result": None,
}


def serve(plugin: object, read: int, write: int) -> int:
    """Serve the controller until the pytest session with `plugin` is over.

    Args:
        read, write: descriptors of the pipes that execnet made for this worker.
    Returns:
        pytest's exit status.
    Raises:
        SystemExit: something in the session raised it, and pytest let it through.
    """
    for descriptor in (read, write):
        os.set_inheritable(descriptor, False)
    session = _Session()
    inject.plugins[:] = [plugin, session]
    execmodel = get_execmodel("main_thread_only")
    reading, writing = os.fdopen(read, "rb", closefd=False), os.fdopen(write, "wb", closefd=False)
    # execnet's own first line would load its code and serve, as what follows does.
    reading.readline()
    io = Popen2IO(writing, reading, execmodel)
    io.write(b"1")
    _Gateway(io).serve()
    if session.exit is not None:
        raise session.exit
    return session.status


class _Session:
    """Plugin: how the session ended, and reports without what a test put into them."""

    def __init__(self) -> None:
        self.status = int(pytest.ExitCode.INTERNAL_ERROR)
        self.exit: SystemExit | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, object, object]:
        try:
            result = yield
            self.status = int(result) if isinstance(result, int) else self.status
        except pytest.UsageError:
            self.status = int(pytest.ExitCode.USAGE_ERROR)
            raise
        except SystemExit as err:
            self.exit = err
            raise
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_to_serializable(self, report: pytest.TestReport | pytest.CollectReport) -> dict[str, Any]:
        """Only what xdist counts: execnet refuses most objects, and one that a test attached must not decide."""
        told = {"nodeid": report.nodeid, "outcome": report.outcome, "when": report.when, **_TELLS_NOTHING}
        if isinstance(report, pytest.CollectReport):
            # xdist takes reports with one text for one report.
            text = f"{report.nodeid}: {report.outcome}"
            return {**told, "$report_type": "CollectReport", "longrepr": text}
        return {**told, "$report_type": "TestReport", "location": (report.nodeid, None, ""), **_expected(report)}


def _expected(report: pytest.TestReport) -> dict[str, str]:
    return {"wasxfail": ""} if hasattr(report, "wasxfail") else {}


class _Gateway(WorkerGateway):
    def __init__(self, io: Any) -> None:
        super().__init__(io, "worker", _startcount=2)

    def executetask(self, item: Any) -> None:
        super().executetask(item)
        _, (_, _, function, _) = item
        # The controller calls a function of execnet's, which asks what system this is, and runs one module: pytest.
        if function is None:
            self._execpool.trigger_shutdown()

    def join(self, timeout: float | None = None) -> None:
        """Not for the receiver: it waits for a controller that waits for this process."""
