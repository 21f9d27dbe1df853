"""The plugin of the controller of a session that pytest-xdist shares out; it has no say in any result."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

_PATIENCE_S = 2.0


def create(_spec: dict[str, Any], _descriptor: int) -> Controller:
    """Called by `pv.process.boot`; nothing is sent."""
    return Controller()


class Controller:
    """The end of one worker is the end of all."""

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Before xdist hands what a dead worker had not finished, the deadly test included, to another one."""
        if error:
            # The parent, which sees the worker itself end, is quicker; this is for a worker that lives and has an
            # error in what it sent.
            time.sleep(_PATIENCE_S)
            os._exit(int(pytest.ExitCode.INTERRUPTED))
