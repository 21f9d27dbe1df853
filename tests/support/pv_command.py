"""Run `pv` in this process, or as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


class Pv:
    """In this process, from a working directory; fast."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("PV_TRACEBACK", raising=False)

    def __call__(self, *arguments: str) -> Ended:
        from pv.cli.main import run

        self._capsys.readouterr()
        code = run(arguments)
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file


def start_pv(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """As a process of its own, its streams captured."""
    return subprocess.Popen(
        [sys.executable, "-m", "pv", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
