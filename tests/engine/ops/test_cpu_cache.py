"""Compiled code is kept where there is a place for it, and never needed to start.

The package is copied, and a regular file put where its `__pycache__` would be: an installation that cannot be
written to, also by root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import engine

PROGRAM = (
    "import numpy as np; from engine.ops import cpu; import engine; "
    "print(cpu.rms_norm(np.full((1, 4), 2, np.float32), np.ones(4, np.float32), eps=0.0).tolist(), engine.__file__)"
)


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    ignored = shutil.ignore_patterns("__pycache__", "*.gguf", "teacher")
    shutil.copytree(Path(engine.__file__).parent, site / "engine", ignore=ignored)
    (site / "engine/ops/cpu/kernels/__pycache__").write_text("not a folder")
    return site


def run(site: Path, home: Path, **more: str) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment = {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": str(site), **more}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, env=environment, cwd=site, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout
    return done.stdout.split("]]")[0]


def test_an_installation_that_cannot_be_written_uses_the_users_cache(installation: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert run(installation, home) == "[[1.0, 1.0, 1.0, 1.0"
    assert list(home.rglob("norm.kernel"))


def test_without_any_place_for_a_cache_it_compiles_anew(installation: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("not a folder")
    assert run(installation, home) == "[[1.0, 1.0, 1.0, 1.0"


def test_numba_cache_dir_is_honoured(installation: Path, tmp_path: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "elsewhere"
    assert run(installation, home, NUMBA_CACHE_DIR=str(cache)) == "[[1.0, 1.0, 1.0, 1.0"
    assert list(cache.rglob("norm.kernel"))


ANSWER = """
import sys
from engine.llm import Llm
with Llm.load(precision=sys.argv[1], kv_cache=sys.argv[2]) as llm:
    print(llm.generate("What is 2+2?").text, "numba" in sys.modules)
"""


@pytest.mark.parametrize("kv_cache", ["f16", "f32"])
@pytest.mark.parametrize("precision", ["f32", "q16", "q8"])
def test_a_second_start_compiles_nothing(precision: str, kv_cache: str) -> None:
    def start() -> str:
        argv = [sys.executable, "-c", ANSWER, precision, kv_cache]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    start()
    assert start() == "2 + 2 equals 4. False\n"
