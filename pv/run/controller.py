"""The plugin of the controller of a session that pytest-xdist shares out; it has no say in any result."""

from __future__ import annotations

import os
from typing import Any

import pytest


def create(_spec: dict[str, Any], _descriptor: int) -> Controller:
    """Called by `pv.process.boot`; nothing is sent."""
    return Controller()


class Controller:
    """One worker's end is everybody's."""

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Before xdist hands what a dead worker had not finished, the deadly test included, to another one."""
        if error:
            os._exit(int(pytest.ExitCode.INTERRUPTED))
