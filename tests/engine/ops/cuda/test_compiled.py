"""The compile gate, on the two kernels whose instructions are the budget; the falsifiers look at all of them."""

from __future__ import annotations

import pytest
import torch

from engine.gguf.types import GgmlType
from engine.ops.cuda import gate, launch, products, target, weights
from engine.ops.cuda.add import add
from engine.ops.cuda.compiled import compiled_instead, largest_loop, specialise

LISTING = """
.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
        /*0010*/                   S2R R0, SR_TID.X ;
.L_x_1:
        /*0020*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0030*/              @!P0 IDP.4A.S8.S8 R9, R4, R5, R9 ;
        /*0040*/               @P1 BRA `(.L_x_1) ;
        /*0050*/                   STG.E desc[UR4][R2.64], R9 ;
        /*0060*/                   EXIT ;
.L_x_2:
        /*0070*/                   BRA `(.L_x_2);
        /*0080*/                   NOP;
"""


def test_the_loop_is_what_lies_between_label_and_branch() -> None:
    """By hand; the branch of the last lines to itself is padding and no loop."""
    loop, has_loop = largest_loop(LISTING)
    assert has_loop
    assert loop == ("LDG.E.128", "IDP.4A.S8.S8", "BRA")


def test_without_a_loop_all_instructions_count() -> None:
    straight = "\n".join(line for line in LISTING.splitlines() if "L_x_1" not in line)
    loop, has_loop = largest_loop(straight)
    assert not has_loop
    assert len(loop) == 8


@pytest.mark.parametrize(("kind", "budget"), [(GgmlType.Q4_K, 2.0), (GgmlType.Q6_K, 2.3)])
def test_instructions_per_weight(kind: GgmlType, budget: float) -> None:
    """The shape of a feed-forward product of Qwen2.5-7B; budgets as the falsifiers declare them."""
    found: list[gate.Compiled] = []
    with (
        target.compiling_for(90),
        compiled_instead(90, lambda machine, launched: found.append(gate.entry(machine, launched))),
    ):
        weight = weights.empty("w", kind, (18944, 3584))
        products.matmul(torch.empty((1, 3584), device="meta"), weight, exact=False)
    [matvec] = [entry for entry in found if entry.per_weight is not None]
    assert 1.0 < matvec.per_weight < budget
    assert matvec.machine.stack_bytes == 0
    assert matvec.machine.count("IDP") >= 16, "the products are not dp4a"
    assert matvec.machine.wide_loads >= 7


@pytest.mark.parametrize(("kind", "budget"), [(GgmlType.Q8_0, 1.5), (GgmlType.F16, 4.5)])
def test_a_loop_that_the_compiler_unrolls_counts_once(kind: GgmlType, budget: float) -> None:
    """Rows of 4864 columns, ffn_down of Qwen2.5-0.5B: 19 steps of Q8_0, of which an iteration takes several."""
    found: list[gate.Compiled] = []
    with (
        target.compiling_for(90),
        compiled_instead(90, lambda machine, launched: found.append(gate.entry(machine, launched))),
    ):
        products.matmul(torch.empty((1, 4864), device="meta"), weights.empty("w", kind, (896, 4864)), exact=False)
    [matvec] = [entry for entry in found if entry.per_weight is not None]
    assert 0.5 < matvec.per_weight < budget
    assert matvec.machine.wide_loads >= 4


@pytest.mark.parametrize("size", [0, 1, 16, 17, -5, 2**31 - 16, 2**31])
def test_a_launch_is_specialised_as_triton_does(size: int) -> None:
    """Beside the function that a launch on a device calls, for sizes, and for tensors that are aligned and others."""
    from triton._C.libtriton import native_specialize_impl
    from triton.backends.nvidia.compiler import CUDABackend

    x = torch.zeros(64)
    given = {"x": x, "y": x[1:], "z": x[4:], "size": size, "period": 1, "BLOCK": 64}
    signature, constants, attributes = specialise(launch.Launch(add, (1, 1, 1), 4, 1, given))
    for index, (name, value) in enumerate(given.items()):
        if name == "BLOCK":
            continue
        kind, aligned = native_specialize_impl(CUDABackend, value, False, True, True)
        assert signature[name] == kind
        assert constants.get(name) == (aligned if kind == "constexpr" else None)
        assert bool(attributes.get((index,))) == (aligned == "D")


def test_looking_at_a_launch_does_not_count_it() -> None:
    before = launch.counts()
    with target.compiling_for(90), launch.intercepted(lambda _: None):
        weight = weights.empty("w", GgmlType.F16, (64, 64))
        products.matmul(torch.empty((1, 64), device="meta"), weight, exact=False)
    assert launch.counts() == before
