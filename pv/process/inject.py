"""`-p pv.process.inject`: pytest-xdist hands its workers names of plugins, and this one names an object.

Does nothing in the controller. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import pytest

plugins: list[object] = []
"""Registered where pytest begins; filled by `pv.process.gateway`."""


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    for plugin in plugins:
        pluginmanager.register(plugin)
