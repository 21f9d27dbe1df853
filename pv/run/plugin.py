"""pytest plugin: the marker `falsifies` and the fixture `pv`.

Loaded by its entry point it lets `pytest falsifiers/` run falsifiers like any test: limits hold, nothing is recorded.
Under `pv discharge` the supervising plugin has put its own context into the config, and everything is.

Imports pytest and the standard library alone: it is loaded into every pytest run of an environment that has pv.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pv.run.fixture import CONTEXT, Context, Pv


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "falsifies(*ids): this test is the falsifier with these ids")


@pytest.fixture
def pv(request: pytest.FixtureRequest) -> Pv:
    """Target, model and recorder of this falsifier."""
    config = request.config
    context = config.stash.get(CONTEXT, None)
    if context is None:
        context = config.stash[CONTEXT] = _ordinary_context(config.rootpath)
    return Pv(request.node.nodeid, context)


def _ordinary_context(root: Path) -> Context:
    model = os.environ.get("PV_MODEL") or _settings(root).get("model")
    return Context(target=os.environ.get("PV_TARGET", "cpu"), model=root / model if model else None)


def _settings(root: Path) -> dict[str, Any]:
    pyproject = root / "pyproject.toml"
    if not pyproject.is_file():
        return {}
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("pv", {})
    return settings if isinstance(settings, dict) else {}
