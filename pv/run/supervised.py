"""The reporting plugin of a supervised child: what pytest did, as records to the parent.

    start    nonce, python, pytest
    fault    state: entered | applied | broken
    collect  path; then `collected` with outcome and message
    plan     ids
    begin    id modules;  phase id when outcome kind raw ...;  end id
    value | attach | ran_on | model       from the fixture `pv`
    finish   nonce, exitstatus, versions, shadowed

The parent alone draws conclusions. `raw` is what the test function itself raised, seen before any other plugin;
`outcome` is what was reported in the end. Code in this process can forge records; challenges and a repeated run
elsewhere make that visible, only isolation prevents it.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pv.process.channel import Writer
from pv.run.fault import MACHINERY, FaultError, SeededFault
from pv.run.fixture import CONTEXT, Context
from pv.run.shadow import loaded, shadowed

_VERSIONS_OF = {"numpy": "numpy", "numba": "llvmlite", "torch": "torch", "triton": "triton"}
"""Distributions whose version a record has, and the module that shows that one took part: machine code that numba has
made and kept is run by llvmlite alone."""
_EXCEPTION = re.compile(r"[\w.]+: ")
_MAX_DETAIL = 4000
_PATIENCE_S = 0.5
"""With threads that a test leaves behind; pools that live on cost it once."""
_MAX_MESSAGE = 300
FORCED_FAILURE = "forced by pv to prove that a failure is reported"


def create(spec: dict[str, Any], descriptor: int) -> Supervised:
    """Called by `pv.process.boot`."""
    return Supervised(spec, Writer(descriptor))


def kind_of(error: BaseException | None) -> str:
    """none, assertion, fail, skip, xfail, exit or error."""
    if error is None:
        return "none"
    for kind, types in (
        ("assertion", AssertionError),
        ("skip", pytest.skip.Exception),
        ("xfail", pytest.xfail.Exception),
        ("fail", pytest.fail.Exception),
        ("exit", (pytest.exit.Exception, KeyboardInterrupt)),
    ):
        if isinstance(error, types):
            return kind
    return "error"


class Supervised:
    """One pytest session under supervision."""

    def __init__(self, spec: dict[str, Any], writer: Writer) -> None:
        self._root: str = spec["root"]
        self._nonce: str = spec["nonce"]
        self._planned = frozenset(spec["nodeids"])
        self._target: str = spec["target"]
        self._model: str | None = spec["model"]
        self._forced_failure: bool = spec["forced_failure"]
        self._stop_at_failure: bool = spec["stop_at_failure"]
        self._send = writer.send
        self._raw: dict[str, str] = {}
        self._told: set[str] = set()
        self._refuted = False
        self._error: BaseException | None = None
        self._fault: SeededFault | None = None
        if spec["fault"] is not None:
            self._fault = SeededFault(spec["fault"], lambda: self._send("fault", state="applied"), spec["relative"])
        self._send("start", nonce=self._nonce)

    # session

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        model = Path(self._model) if self._model else None
        config.stash[CONTEXT] = Context(self._target, model, self._send)
        if self._fault is None:
            return
        try:
            self._fault.enter()
        except FaultError as err:
            self._send("fault", state="broken", message=str(err))
            raise pytest.UsageError(str(err)) from err
        self._send("fault", state="entered")
        config.add_cleanup(self._fault.exit)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        yield
        self._send(
            "finish", nonce=self._nonce, exitstatus=int(session.exitstatus), versions=_versions(),
            shadowed=shadowed(Path(self._root)),
        )  # fmt: skip

    # collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.Module):
            self._send("collect", path=collector.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Module) and report.passed:
            always_true = _always_true_assertion(collector.path)
            if always_true:
                report.outcome, report.longrepr, report.result = "failed", always_true, []
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        message = self._relative(_reason(report)) if not report.passed else ""
        self._send("collected", id=report.nodeid, outcome=report.outcome, message=message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._planned]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._send("plan", ids=[item.nodeid for item in session.items])

    # one test

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._threads = frozenset(threading.enumerate())
        modules = [name for name in loaded() if name not in self._told]
        self._told.update(modules)
        self._send("begin", id=item.nodeid, modules=modules)
        result = yield
        if self._fault is not None:
            self._fault.ask()
        self._send("end", id=item.nodeid)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        yield from self._observe("setup")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        if self._forced_failure:
            # The test body would have said where it ran; without that its failure on an accelerator is WRONG_TARGET.
            # Nothing of such a run becomes evidence of the claim.
            self._send("ran_on", id=item.nodeid, device={"target": self._target, "forced": True})
            _replace_by_failure(item)
        yield from self._observe("call")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        # pytest makes an error of what a thread raised, if it has by now; what failed already needs no further error.
        if not self._refuted:
            _wait_for([thread for thread in threading.enumerate() if thread not in self._threads])
        yield from self._observe("teardown")

    def _observe(self, when: str) -> Generator[None, None, None]:
        self._raw[when] = "unfinished"
        try:
            result = yield
        except BaseException as err:
            self._raw[when] = kind_of(err)
            raise
        self._raw[when] = "none"
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._error = call.excinfo.value if call.excinfo is not None else None
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test_file = f"{self._root}/{report.nodeid.partition('::')[0]}"
        is_own = self._fault is not None and self._fault.raised(self._error, test_file)
        message = ("the fault itself raised " if is_own else "") + self._message(report)
        kind = "error" if is_own or _is_from_pytest_itself(self._error) else kind_of(self._error)
        # A subtest reports in the midst of its test's call phase, so that phase's own raw value is not known yet.
        subtest = hasattr(report, "context")
        self._send(
            "phase", id=report.nodeid, when=report.when, outcome=report.outcome, kind_of=kind, subtest=subtest,
            raw=kind if subtest else self._raw.pop(report.when, "missing"), xfail=_is_xfail(report),
            message=message, detail=self._shorten(report.longreprtext) if report.failed else "",
            duration_s=report.duration,
        )  # fmt: skip
        self._refuted = report.when == "call" and report.failed and kind in ("assertion", "fail")
        if self._stop_at_failure and self._refuted:
            self._session.shouldfail = "one failure is enough"

    def _message(self, report: pytest.TestReport) -> str:
        if report.passed:
            return ""
        if self._error is None or report.skipped:
            return self._relative(_reason(report))
        first = str(self._error).strip().partition("\n")[0]
        name = type(self._error).__name__
        return self._relative(f"{name}: {first}" if first else name)[:_MAX_MESSAGE]

    def _shorten(self, text: str) -> str:
        text = self._relative(text)
        if len(text) <= _MAX_DETAIL:
            return text
        half = _MAX_DETAIL // 2
        return f"{text[:half]}\n... {len(text) - _MAX_DETAIL} characters left out ...\n{text[-half:]}"

    def _relative(self, text: str) -> str:
        return text.replace(f"{self._root}/", "")


def _wait_for(threads: Sequence[threading.Thread]) -> None:
    until = monotonic() + _PATIENCE_S
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, until - monotonic()))


def _is_from_pytest_itself(error: BaseException | None) -> bool:
    """Whether pytest failed the test without entering it, as it does with a coroutine that nothing can run."""
    if not isinstance(error, pytest.fail.Exception):
        return False
    files = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)}
    return all(file == __file__ or MACHINERY.search(file) for file in files)


def _always_true_assertion(path: Path) -> str:
    """The compiler's own warning about `assert (x, "message")`.

    pytest's rewriting warns as well, but only until it has cached the compiled file.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compile(path.read_bytes(), path, "exec", dont_inherit=True)
    found = next((warning for warning in caught if "assertion is always true" in str(warning.message)), None)
    return "" if found is None else f"line {found.lineno}: {found.message}"


def _replace_by_failure(item: pytest.Item) -> None:
    def forced(*_args: object, **_kwargs: object) -> None:
        raise AssertionError(FORCED_FAILURE)

    item.obj = forced  # type: ignore[attr-defined]  # every Python item has it; others fail here, loudly


def _is_xfail(report: pytest.TestReport) -> bool:
    return hasattr(report, "wasxfail") or report.longreprtext.startswith("[XPASS(strict)]")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "pytest": pytest.__version__}
    for name, module in _VERSIONS_OF.items():
        if module in sys.modules:
            found[name] = importlib.metadata.version(name)
    return found


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """One line of a report that has not passed."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")[:_MAX_MESSAGE]
    lines = [line for line in report.longreprtext.splitlines() if line.strip()]
    # pytest marks the lines of the exception itself with E.
    marked = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ")]
    named = [line for line in marked if _EXCEPTION.match(line)]
    return next(iter([*named, *marked, *lines[-1:]]), "").strip()[:_MAX_MESSAGE]
