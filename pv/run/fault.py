"""Seeding a fault in the child, and noticing whether its code ever ran.

A fault is `module:function`, a factory of context managers; a graded one is called with `relative=`. It counts as
applied when, after it was entered, a Python function is called that is written in its module's file, or in the file
from which its module (a package, say) has it; or when the object that it yields says so itself through an attribute
`applied` (a boolean, or a function that returns one), which is the way for faults that change data or are compiled to
machine code. What its own code raises is no catch: the falsifier has to see the difference.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import CodeType, FrameType
from typing import Any

# Of the six tool ids of sys.monitoring, 3 and 4 belong to nobody; 2 is cProfile's, which a test may want.
_TOOL_ID = 4
MACHINERY = re.compile(r"[/\\](_pytest|pluggy)[/\\]")
"""Files of pytest itself."""


class FaultError(Exception):
    """The fault cannot be seeded."""


class SeededFault:
    """One entered fault; `on_applied` is called once."""

    def __init__(self, reference: str, on_applied: Callable[[], None], relative: float | None = None) -> None:
        self._reference = reference
        self._arguments = {} if relative is None else {"relative": relative}
        self._on_applied = on_applied
        self._applied = False
        self._manager: AbstractContextManager[Any] | None = None
        self._yielded: Any = None
        self._files: frozenset[str] = frozenset()

    def enter(self) -> None:
        """Import the module and enter the context manager.

        Raises:
            FaultError: anything at all went wrong.
        """
        module_name, _, function = self._reference.partition(":")
        try:
            module = importlib.import_module(module_name)
            factory = getattr(module, function)
            manager = factory(**self._arguments)
            self._yielded = manager.__enter__()
        except Exception as err:
            raise FaultError(f"{self._reference}: {type(err).__name__}: {err}") from err
        self._manager = manager
        origin = sys.modules.get(getattr(factory, "__module__", None) or "", module)
        self._files = frozenset(str(place.__file__) for place in (module, origin) if getattr(place, "__file__", None))
        self._watch(self._files)

    def exit(self) -> None:
        """Leave the context manager; the second time does nothing."""
        manager, self._manager = self._manager, None
        self._unwatch()
        if manager is not None:
            manager.__exit__(None, None, None)

    def raised(self, error: BaseException | None, test_file: str) -> bool:
        """Whether the fault's own code raised what a test saw; nothing can be told where the test is in its file.

        Args:
            test_file: of the test that failed, absolute.
        """
        if error is None or test_file in self._files:
            return False
        files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        # pytest.fail() and the like are called by whom it concerns.
        last = next((file for file in reversed(files) if not MACHINERY.search(file)), "")
        return last in self._files

    def ask(self) -> None:
        """Ask the yielded object whether the fault was applied."""
        said = getattr(self._yielded, "applied", False)
        if said() if callable(said) else said:
            self._note()

    def _note(self) -> None:
        if not self._applied:
            self._applied = True
            self._unwatch()
            self._on_applied()

    def _watch(self, files: frozenset[str]) -> None:
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(_TOOL_ID, "pv")

            def on_start(code: CodeType, _offset: int) -> Any:
                if code.co_filename in files:
                    self._note()
                # Each code object is looked at once, so the test keeps its speed.
                return monitoring.DISABLE

            monitoring.register_callback(_TOOL_ID, monitoring.events.PY_START, on_start)
            monitoring.set_events(_TOOL_ID, monitoring.events.PY_START)
        else:

            def on_call(frame: FrameType, event: str, _argument: Any) -> None:
                if event == "call" and frame.f_code.co_filename in files:
                    self._note()

            threading.setprofile(on_call)
            sys.setprofile(on_call)

    def _unwatch(self) -> None:
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(_TOOL_ID, 0)
        else:
            threading.setprofile(None)
            sys.setprofile(None)
