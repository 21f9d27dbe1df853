"""Machine code of the kernels: what is kept is used if it is whole and was made from the same, and only then."""

from __future__ import annotations

import ctypes
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numba import carray

from engine.ops.cpu import maker
from engine.ops.cpu.isa import processor
from engine.ops.cpu.kernels.compile import object_code
from engine.ops.cpu.kernels.llvm import floats_at
from engine.ops.cpu.machine_code import link

PROGRAM = """
import sys
import numpy as np
from engine.ops import cpu
from engine.ops.cpu import maker
made, object_codes = [], maker.object_codes
maker.object_codes = lambda labels: made.extend(labels) or object_codes(labels)
print(cpu.rms_norm(np.full((1, 4), 2, np.float32), np.ones(4, np.float32), eps=0.0).tolist(), "norm" in made)
assert "numba" not in sys.modules
"""


def run(place: Path, program: str = PROGRAM) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(place)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that has the code of a norm."""
    assert run(tmp_path) == "[[1.0, 1.0, 1.0, 1.0]] True"
    assert run(tmp_path) == "[[1.0, 1.0, 1.0, 1.0]] False"
    return tmp_path


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "stamp"])
def test_code_that_is_not_whole_is_made_anew(place: Path, damage: str) -> None:
    kept = place / "norm.kernel"
    whole = kept.read_bytes()
    kept.write_bytes(
        {
            "cut": whole[:-1],
            "changed": whole[:-1] + bytes([whole[-1] ^ 1]),
            "empty": b"",
            "stamp": bytes([whole[0] ^ 1]) + whole[1:],
        }[damage]
    )
    assert run(place) == "[[1.0, 1.0, 1.0, 1.0]] True"
    assert kept.read_bytes()[:64] == whole[:64]
    assert run(place) == "[[1.0, 1.0, 1.0, 1.0]] False"


def test_code_for_another_processor_is_not_used(place: Path) -> None:
    other = "import llvmlite.binding as llvm; llvm.get_host_cpu_name = lambda: 'generic'\n"
    assert run(place, other + PROGRAM) == "[[1.0, 1.0, 1.0, 1.0]] True"


def test_nothing_else_is_left_in_the_folder(place: Path) -> None:
    assert {path.suffix for path in place.iterdir()} == {".kernel"}


def test_every_kernel_has_its_maker() -> None:
    for name, make in maker.makers().items():
        assert make.__name__ == name
        assert all(part.annotation == "int" for part in inspect.signature(make).parameters.values()), name


def called(function: Callable[..., int | None], *arguments: int) -> int:
    address, holder = link(f"test-{function.__name__}", object_code(function, processor()))
    found = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))(address)(*arguments)
    assert holder
    return int(found)


def test_numbers_go_in_and_one_comes_out() -> None:
    def less(a: int, b: int, c: int) -> int:
        return a - b - c

    def nothing(_: int) -> None:
        return

    assert called(less, 1 << 62, 3, -4) == (1 << 62) + 1
    assert called(nothing, 7) == 0


def test_a_kernel_reads_and_writes_at_addresses() -> None:
    def halve(at: int, count: int) -> None:
        values = carray(floats_at(at), (count,))
        for index in range(count):
            values[index] *= np.float32(0.5)

    x = np.arange(5, dtype=np.float32)
    called(halve, x.ctypes.data, 4)
    assert x.tolist() == [0, 0.5, 1, 1.5, 4]


def test_a_function_with_an_array_of_its_own_is_no_kernel() -> None:
    def own(count: int) -> int:
        return np.zeros(count).size

    with pytest.raises(TypeError, match=r"own is no kernel: it needs NRT_\w+"):
        object_code(own, processor())


def test_a_kernel_that_fails_ends_the_process() -> None:
    program = """
import ctypes
from engine.ops.cpu.isa import processor
from engine.ops.cpu.kernels.compile import object_code
from engine.ops.cpu.machine_code import link
def fail(x: int) -> int:
    if x:
        raise ValueError
    return 1
address, code = link("fail", object_code(fail, processor()))
call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)
print(call(0), flush=True)
print(call(1), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode < 0) == ("1\n", True)


def fails(*_args: object, **_more: object) -> None:
    raise BlockingIOError("no more processes")


@pytest.mark.parametrize("processes", ["run", "cannot start", "end early"])
def test_kernels_are_made_whether_or_not_processes_can_be(processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numba")  # where it is imported anyway, there are no processes
    labels = ["add", "offsets", "share"]
    if processes == "cannot start":
        monkeypatch.setattr(subprocess, "Popen", fails)
    elif processes == "end early":
        monkeypatch.setattr(sys, "executable", "/bin/false")
    started, announced = mock.Mock(wraps=subprocess.Popen), mock.Mock()
    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(maker, "announce", announced)
    assert maker.object_codes([]) == {}
    codes = maker.object_codes(labels)
    assert sorted(codes) == labels
    assert all(link(f"{label} where processes {processes}", code)[0] for label, code in codes.items())
    assert started.called
    announced.assert_called_once_with(3)


@pytest.mark.parametrize("precision", ["f32", "q16", "q8"])
def test_a_model_that_is_loaded_has_all_it_needs(precision: str) -> None:
    program = f"""
from engine.llm import Llm
from engine.ops.cpu import machine_code
with Llm.load(precision={precision!r}) as llm:
    loaded = set(machine_code._linked)
    llm.generate("What is 2+2? " * 40, max_tokens=3)
print(set(machine_code._linked) - loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
