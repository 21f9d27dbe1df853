"""What is said before anything is measured where no picture can be drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.bench import plot
from engine.errors import EngineError


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        EngineError, match=r"^--plot needs matplotlib .*; install it: pip install 'pv-contracts\[plot\]'$"
    ):
        plot.check(tmp_path / "speed.png")


def test_other_kinds_of_files_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"speed\.gif: a plot ends with one of \.png, \.svg, \.pdf$"):
        plot.check(tmp_path / "speed.gif")
    with pytest.raises(EngineError, match=r"no such folder .*missing'; make it first$"):
        plot.check(tmp_path / "missing" / "speed.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(EngineError, match=r"folder\.png: a folder; give a file$"):
        plot.check(tmp_path / "folder.png")
