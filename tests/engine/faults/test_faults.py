"""Every fault changes what it says it breaks, on both backends where both can have it, and is gone afterwards."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from engine import faults
from engine.gguf.types import GgmlType
from support.fault_probes import BACKENDS, PROBES, Probe, matmul, write_models

NAMES = [fault.__name__ for fault in faults.ALL]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("faults"))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def calls_into(fault: Callable[[], Any], run: Callable[[], Any]) -> bool:
    """Whether a Python function of the fault's own file is called, as the framework notices an applied fault."""
    seen = []
    file = sys.modules[fault.__module__].__file__

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename == file:
            seen.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return bool(seen)


@pytest.fixture(scope="module")
def right(path: Path) -> dict[Probe, Any]:
    """What the probes say of the engine as it is."""
    return {probe: probe(path) for probe in {probe for probes in PROBES.values() for probe in probes}}


def test_registry_is_sorted_and_complete():
    """Each file of a class has the faults of that class, and no other."""
    for name, registered in faults.CLASSES.items():
        file = importlib.import_module(f"engine.faults.{name}")
        own = {key: value for key, value in vars(file).items() if getattr(value, "__module__", "") == file.__name__}
        public = sorted(key for key, value in own.items() if callable(value) and not key.startswith("_"))
        assert [fault.__name__ for fault in registered] == public
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) == set(PROBES)
    assert all(fault.__doc__ for fault in faults.ALL)


@pytest.mark.parametrize("fault", faults.ALL, ids=NAMES)
def test_fault_changes_every_probe_and_is_gone_afterwards(path: Path, right: dict[Probe, Any], fault):
    for number, probe in enumerate(PROBES[fault.__name__]):
        results = []
        with fault():
            assert calls_into(fault, lambda probe=probe, results=results: results.append(probe(path)))
        assert not same(results[0], right[probe]), f"probe {number} did not notice"
        assert same(probe(path), right[probe]), f"probe {number} is still changed"


@pytest.mark.parametrize("fault", faults.ALL, ids=NAMES)
def test_fault_is_gone_after_an_exception(fault):
    before = places()
    within = []

    def fail() -> None:
        within.append(places())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), fault():
        fail()
    assert within[0] != before, "nothing was replaced"
    assert places() == before


def places() -> dict[tuple[str, str], Any]:
    """Every attribute of the engine's loaded modules and their classes."""
    found = {}
    for module_name, module in sorted(sys.modules.items()):
        if module_name.startswith("engine") and module is not None:
            for name, value in vars(module).items():
                found[module_name, name] = value
                if isinstance(value, type):
                    found.update({(f"{module_name}.{name}", key): part for key, part in vars(value).items()})
    return {key: id(value) for key, value in found.items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_noise_is_graded(path: Path, backend: str):
    """Ten times the noise, about ten times the error."""
    probe = matmul(GgmlType.Q4_K, backend)
    right = probe(path)
    errors = []
    for relative in (1e-4, 1e-3, 1e-2):
        with faults.noise(relative):
            errors.append(float(np.abs(probe(path) / right - 1).max()))
    assert errors[1] / errors[0] == pytest.approx(10, rel=0.1)
    assert errors[2] / errors[1] == pytest.approx(10, rel=0.1)


def test_noise_differs_from_call_to_call(path: Path):
    probe = matmul(GgmlType.Q4_K, "cpu")
    with faults.noise():
        assert not same(probe(path), probe(path))


def test_faults_nest(path: Path):
    probe = matmul(GgmlType.Q4_K, "cpu")
    right = probe(path)
    with faults.q4k_nibble_swap():
        swapped = probe(path)
        with faults.q4k_min_sign():
            assert not same(probe(path), swapped)
        assert same(probe(path), swapped)
    assert same(probe(path), right)
