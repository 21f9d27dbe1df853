"""What a developer's shell exports must not change what a test proves."""

from __future__ import annotations

import pytest

from pv.process.environment import scrubbed, threads


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONOPTIMIZE",
        "PYTHONINSPECT",
        "PYTHONWARNINGS",
        "PYTEST_ADDOPTS",
        "PYTEST_PLUGINS",
        "TRITON_INTERPRET",
        "LD_PRELOAD",
        "PV_TARGET",
        "PV_MODEL",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
    ],
)
def test_variable_is_dropped(name: str) -> None:
    assert name not in scrubbed("t", {}, {name: "x", "PATH": "/bin"})


def test_rest_is_kept_or_fixed() -> None:
    source = {"PATH": "/bin", "LC_ALL": "C.UTF-8", "TMPDIR": "/elsewhere", "PYTHONHASHSEED": "7"}
    assert scrubbed("/t", {"TRITON_INTERPRET": "1"}, source) == {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "TMPDIR": "/t",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TRITON_INTERPRET": "1",
    }


def test_the_callers_number_of_threads_is_kept_and_recorded() -> None:
    source = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "4,2", "MKL_NUM_THREADS": "a secret"}
    assert scrubbed("/t", {}, source)["OPENBLAS_NUM_THREADS"] == "2"
    assert threads(source) == {"OMP_NUM_THREADS": "4,2", "OPENBLAS_NUM_THREADS": "2"}
    assert threads({}) == {"OPENBLAS_NUM_THREADS": "1"}
