"""`pytest falsifiers/` works without `pv discharge`: limits hold, nothing is recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

FALSIFIER = """
import pytest

@pytest.mark.falsifies("FALSIFY-X-001")
def test_within(pv):
    pv.record("error", 0.5, limit=1.0)
    pv.attach("note", b"x")
    pv.ran_on({"target": pv.target})

@pytest.mark.falsifies("FALSIFY-X-002")
def test_beyond(pv):
    pv.record("error", 2.0, limit=1.0)

def test_model(pv):
    print("MODEL", pv.model.name, "TARGET", pv.target)
"""


def run(root: Path, *options: str, **environment: str) -> str:
    (root / "test_x.py").write_text(FALSIFIER)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "pv.run.plugin",
        "--strict-markers",
        "-rA",
        "-s",
        *options,
        "test_x.py",
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PV_"))}
    fixed = {"PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"}
    env = {**kept, **fixed, **environment}
    return subprocess.run(command, cwd=root, env=env, text=True, capture_output=True, check=False, timeout=60).stdout


def test_limits_hold_without_a_parent(tmp_path: Path) -> None:
    output = run(tmp_path)
    assert "PASSED test_x.py::test_within" in output
    assert "FAILED test_x.py::test_beyond - AssertionError: error = 2, expected at most 1" in output
    assert "FAILED test_x.py::test_model" in output
    assert "UsageError: no model: set 'model' in [tool.pv], PV_MODEL, or pv discharge --model" in output


@pytest.mark.parametrize("from_environment", [True, False])
def test_model_and_target_come_from_environment_or_settings(from_environment: bool, tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    if from_environment:
        output = run(tmp_path, PV_MODEL=str(tmp_path / "small.gguf"), PV_TARGET="cuda-interpreted")
        assert "MODEL small.gguf TARGET cuda-interpreted" in output
    else:
        (tmp_path / "pyproject.toml").write_text('[tool.pv]\nmodel = "small.gguf"\n')
        assert "MODEL small.gguf TARGET cpu" in run(tmp_path)


def test_plugin_imports_pytest_and_the_standard_library_alone() -> None:
    """It is loaded into every pytest run of an environment that has pv."""
    script = (
        "import sys, pytest; before = set(sys.modules); import pv.run.plugin; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    got = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, text=True, capture_output=True, check=True)
    assert got.stdout == "['pv']\n"


def test_xdist_workers_change_no_result_of_an_ordinary_run(tmp_path: Path) -> None:
    def lines(*options: str) -> list[str]:
        output = run(tmp_path, *options)
        return sorted(line for line in output.splitlines() if line.startswith(("PASSED", "FAILED", "ERROR")))

    alone = lines()
    assert len(alone) >= 3
    assert lines("-p", "xdist", "-n", "2") == alone
