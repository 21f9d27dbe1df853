"""What --emit-falsifier writes is run for real: a valid contract, a test that fails under the fault and else passes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.bisect.bisection import FP64
from engine.bisect.reproduce import own_error, write
from engine.bisect.seeded import operation_off
from engine.errors import ParityError
from engine.faults.layout import swiglu_gate_up_swapped
from support import bisected, tiny_qwen2

ROOT = Path(__file__).resolve().parents[3]

PYPROJECT = """\
[tool.pv]
contracts = ["checks"]
falsifiers = ["checks"]
model = "tiny.gguf"
"""

CONFTEST = """\
import os

import pytest


@pytest.fixture(autouse=True)
def fault():
    if os.environ.get("FAULTY") != "1":
        yield
        return
    from unittest import mock

    from engine.ops import cpu

    with mock.patch.object(cpu, "swiglu", lambda gate, up: gate * up):
        yield
"""


def run(project: Path, *command: str, faulty: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env={**environment, "FAULTY": "1" if faulty else "0", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model and what was emitted for a swiglu that has its halves swapped."""
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "checks").mkdir()
    session = bisected.recorded(tmp_path / "taps", path, fault=swiglu_gate_up_swapped())
    judgement = bisected.bisection(session, path).judgement(golden=FP64)
    monkeypatch.chdir(tmp_path)
    written = write(judgement.found[0], session, "b", Path("checks/test_found.py"))
    assert written == (Path("checks/test_found.py"), Path("checks/cpu-layer-0-swiglu-v1.yaml"))
    return tmp_path


def test_emitted_files_are_bound_valid_and_judge_the_fault(project: Path):
    valid = run(project, "pv", "validate")
    assert valid.returncode == 0, valid.stdout + valid.stderr
    assert valid.stdout.endswith("0 errors, 0 warnings.\n")
    right = run(project, "pytest", "-q", "-p", "no:cacheprovider", "checks")
    assert (right.returncode, "1 passed" in right.stdout) == (0, True), right.stdout
    wrong = run(project, "pytest", "-q", "-p", "no:cacheprovider", "checks", faulty=True)
    assert wrong.returncode == 1, wrong.stdout
    assert "own error" in wrong.stdout
    assert "1 failed" in wrong.stdout


def test_the_challenge_of_the_contract_is_a_fault_that_the_test_sees(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    asked = {"decode": 2, "layer": 1, "tap": "attn_out"}
    assert own_error(path, "cpu", bisected.IDS, **asked).times <= 1
    with operation_off():
        assert own_error(path, "cpu", bisected.IDS, **asked).times > 100


def test_a_place_without_an_operation_is_refused(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    with pytest.raises(ParityError, match="no operation makes layer 0 q_norm"):
        own_error(path, "cpu", bisected.IDS, decode=2, layer=0, tap="q_norm")


def test_nothing_is_overwritten_and_other_names_are_refused(project: Path):
    path = project / "tiny.gguf"
    session = bisected.recorded(project / "again", path, fault=swiglu_gate_up_swapped())
    first = bisected.bisection(session, path).judgement(golden=FP64).found[0]
    with pytest.raises(ParityError, match=r"test_found.py: File exists; give a new file"):
        write(first, session, "b", Path("checks/test_found.py"))
    with pytest.raises(ParityError, match=r'--emit-falsifier is "found.py", must be the name of a test_\*\.py file'):
        write(first, session, "b", Path("checks/found.py"))


def test_a_hostile_model_name_stays_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Quotes, backslashes and braces of a file name must not end a string of the test or a value of the contract."""
    name = 'a""" + exit() #\\{{ 7 * 7 }}\': x.gguf'
    path = tiny_qwen2.write_tiny(tmp_path / name)
    session = bisected.recorded(tmp_path / "taps", path, fault=swiglu_gate_up_swapped())
    first = bisected.bisection(session, path).judgement(golden=FP64).found[0]
    monkeypatch.chdir(tmp_path)
    test, _ = write(first, session, "b", Path("test_found.py"))
    tree = ast.parse(test.read_text())
    assert [type(node).__name__ for node in tree.body] == ["Expr", "Import", "ImportFrom", "Assign", "FunctionDef"]
    assert name in (ast.get_docstring(tree) or "")
    (tmp_path / "pyproject.toml").write_text('[tool.pv]\ncontracts = ["."]\nfalsifiers = ["."]\n')
    found = run(tmp_path, "pv", "validate")
    assert found.returncode == 0, found.stdout + found.stderr
