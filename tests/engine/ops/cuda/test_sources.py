"""What the text of the kernels has to hold: one in each file, no atomics, stated precision, no tuning at run time."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import engine.ops.cuda as backend
from engine.ops import reference
from engine.ops.cuda import exact

FILES = sorted(Path(backend.__file__).parent.glob("*.py"))
TREES = {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


def is_kernel(node: ast.AST) -> bool:
    """A jitted function that returns nothing and has memory to write to; others are parts of kernels."""
    if not isinstance(node, ast.FunctionDef) or [ast.unparse(d) for d in node.decorator_list] != ["triton.jit"]:
        return False
    arguments = [ast.unparse(a.annotation) for a in node.args.args if a.annotation is not None]
    return ast.unparse(node.returns or ast.Constant(0)) == "None" and arguments.count("tl.tensor") > 1


def test_each_kernel_has_a_file_of_its_name() -> None:
    """Functions that only store, as `store_rows`, are parts of kernels and lie beside a kernel or alone."""
    kernels = {name: [n.name for n in ast.walk(tree) if is_kernel(n)] for name, tree in TREES.items()}
    for name, found in kernels.items():
        assert [kernel for kernel in found if not kernel.startswith(("store_", "_"))] in ([], [name]), name
    assert sum(name in found for name, found in kernels.items()) == 26


def test_no_kernel_has_an_atomic() -> None:
    names = {node.attr for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name for name in names if name.startswith("atomic")}


def test_every_dot_states_its_precision() -> None:
    """The type of its sums; and of float32 operands that they are not rounded to fewer bits."""
    dots = [
        (name, {keyword.arg for keyword in node.keywords})
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tl.dot"
    ]
    assert len(dots) == 6
    assert all("out_dtype" in keywords for _, keywords in dots)
    assert {name for name, keywords in dots if "input_precision" in keywords} == {"float_matmul"}


def test_nothing_is_tuned_at_run_time() -> None:
    names = {node.attr for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"autotune", "heuristics", "do_bench", "Autotuner"}


@pytest.mark.parametrize("ops", [backend, exact], ids=["cuda", "exact"])
def test_signatures_are_those_of_the_reference(ops: ModuleType) -> None:
    operations = [name for name, value in vars(reference).items() if inspect.isfunction(value) and name[0] != "_"]
    assert len(operations) >= 8
    for name in operations:
        if inspect.getmodule(getattr(reference, name)) is reference:
            assert inspect.signature(getattr(ops, name)) == inspect.signature(getattr(reference, name)), name
