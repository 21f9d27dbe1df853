"""The other compiled operations against float64, on odd shapes; tolerances are derived where they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.errors import ShapeError
from engine.ops import cpu, load_ops, reference
from engine.ops.cpu import floats
from engine.ops.cpu.kernels.llvm import FLOAT, I16, half_to_float
from engine.ops.cpu.pool import shared
from engine.ops.rotary import Rotary

SEED = 20250906
EPS = 2.0**-24
"""Half a unit in the last place of 1: the largest relative error of one float32 rounding."""


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng([SEED, *shape]).standard_normal(shape).astype(np.float32)


def check(found: np.ndarray, expected: np.ndarray, limit: np.ndarray | float) -> None:
    """Compare element by element; on failure name the worst."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    excess = np.abs(found - expected) / np.broadcast_to(limit, expected.shape)
    worst = np.unravel_index(excess.argmax(), excess.shape)
    assert excess.max() <= 1, (
        f"worst at {worst}: {found[worst]!r}, expected {expected[worst]!r}, {excess.max():.2f} limits"
    )


@pytest.mark.parametrize(("tokens", "size"), [(1, 256), (5, 255), (2, 1), (3, 16)])
def test_rms_norm(tokens: int, size: int) -> None:
    """Relative error: the mean of squares takes size/16 + 7 roundings, halved by the root; then 3 more."""
    x, weight = draw(tokens, size) * 100, draw(size)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt(np.mean(wide**2, axis=1, keepdims=True) + 1e-6) * weight
    check(cpu.rms_norm(x, weight, eps=1e-6), expected, ((size / 16 + 7) / 2 + 4) * EPS * np.abs(expected))


def test_rms_norm_does_not_overflow_in_the_sum() -> None:
    """4096 squares of 1e16 sum to 4e35, near the end of float32; the sum is not float16 anywhere."""
    x = np.full((1, 4096), 1e16, np.float32)
    np.testing.assert_allclose(cpu.rms_norm(x, np.ones(4096, np.float32), eps=1e-6), 1.0, rtol=300 * EPS)


@pytest.mark.parametrize(("tokens", "heads", "head_dim"), [(1, 4, 64), (5, 3, 6), (2, 1, 2), (7, 2, 128)])
def test_rope(tokens: int, heads: int, head_dim: int) -> None:
    """As rotation of complex numbers; the errors are those of cos, sin, two products and a sum: 3 roundings each."""
    x = draw(tokens, heads, head_dim)
    positions = np.arange(tokens, dtype=np.int64) * 1000 + 3
    half = head_dim // 2
    angles = positions[:, None, None] * 10000.0 ** (-2 * np.arange(half) / head_dim)
    turned = (x[..., :half] + 1j * x[..., half:].astype(np.float64)) * np.exp(1j * angles)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    size = np.abs(x[..., :half]) + np.abs(x[..., half:])
    check(cpu.rope(x, positions, theta=10000.0), expected, 3 * EPS * np.concatenate([size, size], axis=-1))


@pytest.mark.parametrize("adjacent", [False, True], ids=["halves", "neighbours"])
def test_scaled_rope_as_rotation_of_complex_numbers(adjacent: bool) -> None:
    x, positions = draw(5, 3, 10), np.arange(5, dtype=np.int64) * 999
    factors = np.array([1.0, 0.9, 0.5, 0.3, 0.125])
    angles = positions[:, None, None] * factors * 10000.0 ** (-np.arange(5) / 5)
    first, second = (x[..., 0::2], x[..., 1::2]) if adjacent else (x[..., :5], x[..., 5:])
    turned = (first + 1j * second.astype(np.float64)) * 1.25 * np.exp(1j * angles)
    parts = [turned.real, turned.imag]
    expected = np.stack(parts, axis=-1).reshape(x.shape) if adjacent else np.concatenate(parts, axis=-1)
    found = cpu.rope(x, positions, theta=10000.0, rotary=Rotary(tuple(factors.tolist()), 1.25, adjacent))
    check(found, expected, 6 * EPS * np.abs(x).max() * np.ones(x.shape))
    with pytest.raises(ShapeError, match="rope: 5 factors for 4 pairs"):
        cpu.rope(draw(5, 3, 8), positions, theta=10000.0, rotary=Rotary(tuple(factors.tolist())))


def test_every_float16_is_widened_exactly_without_an_instruction_for_it() -> None:
    @intrinsic
    def widened(typingctx, address, count, out):
        def generate(context, builder, signature, arguments):
            source = builder.inttoptr(arguments[0], I16.as_pointer())
            target = builder.inttoptr(arguments[2], FLOAT.as_pointer())
            with cgutils.for_range(builder, arguments[1]) as loop:
                value = half_to_float(builder, builder.load(builder.gep(source, [loop.index])), instruction=False)
                builder.store(value, builder.gep(target, [loop.index]))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), generate

    def widened_all(address, count, out):
        widened(address, count, out)

    bits = np.arange(1 << 16, dtype=np.uint16)
    out = np.empty(bits.size, np.float32)
    njit(widened_all)(bits.ctypes.data, bits.size, out.ctypes.data)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(out, bits.view(np.float16).astype(np.float32))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_tokens_together_equal_one_by_one_bitwise_for_any_threads(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_pool", shared(parts))
    monkeypatch.setattr(floats, "_PART_NS", 1)
    q, k, v = draw(7, 4, 64), draw(20, 2, 64), draw(20, 2, 64)
    positions = np.arange(13, 20, dtype=np.int64)
    weight = draw(256)
    x = draw(7, 256)
    serial: list[tuple[Callable[[slice], np.ndarray], str]] = [
        (
            lambda t: cpu.attention(q[t], k[: positions[t][-1] + 1], v[: positions[t][-1] + 1], positions[t]),
            "attention",
        ),
        (lambda t: cpu.rope(q[t], positions[t], theta=1e6), "rope"),
        (lambda t: cpu.rms_norm(x[t], weight, eps=1e-6), "rms_norm"),
        (lambda t: cpu.swiglu(x[t], x[t][:, ::-1]), "swiglu"),
    ]
    for run, name in serial:
        one_by_one = np.concatenate([run(slice(t, t + 1)) for t in range(7)])
        np.testing.assert_array_equal(run(slice(0, 7)), one_by_one, err_msg=name)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cpu.rope(draw(2, 1, 3), np.arange(2), theta=1e4), "head dim 3 must be even"),
        (lambda: cpu.rope(draw(2, 1, 4), np.arange(3), theta=1e4), r"positions \(3,\) be \(2,\)"),
        (lambda: cpu.attention(draw(1, 3, 4), draw(2, 2, 4), draw(2, 2, 4), np.array([1])), "3 heads over 2 kv heads"),
        (lambda: cpu.attention(draw(1, 2, 4), draw(2, 2, 4), draw(2, 2, 4), np.array([2])), "2 cached slots"),
    ],
    ids=["odd head", "positions", "groups", "future"],
)
def test_wrong_shapes_are_refused_as_by_the_reference(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        call()


def test_backend_loads_by_name_and_says_what_it_is() -> None:
    ops = load_ops("cpu")
    assert (ops.name, ops.precision) == ("cpu", "float32")
    assert ops.threads() >= 1
    for name in ("embedding", "matmul", "add_bias", "add", "rms_norm", "rope", "attention", "swiglu", "threads"):
        assert inspect.signature(getattr(ops, name)) == inspect.signature(getattr(reference, name)), name


def test_llvm_is_imported_only_with_the_cpu_backend() -> None:
    program = (
        "import sys, engine.llm, engine.ops.reference; before = 'llvmlite' in sys.modules; "
        "import engine.ops; engine.ops.load_ops('cpu'); print(before, 'llvmlite' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "True"]
