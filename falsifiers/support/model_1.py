"""Claims about MODEL-1, the bundled teacher, say nothing about another model."""

from __future__ import annotations

from pathlib import Path

import pytest

from falsifiers.support import gguf_parse

NAME = "pv teacher"


def require(path: Path) -> Path:
    """The path of MODEL-1; another model is not judged, so its falsifier stays open."""
    name = gguf_parse.parse(path).metadata.get("general.name")
    if name != NAME:
        pytest.skip(f"speaks of MODEL-1, whose general.name is {NAME!r}; the model under test is {name!r}")
    return path
