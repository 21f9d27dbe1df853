"""A row for every CUDA kernel: odd sizes, lengths 0 and 1, tails, and what its results are measured against.

Expected values are float64 or exact numpy; weights are decoded by `engine.quant`, which has contracts of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from engine import quant
from engine.gguf.types import GgmlType
from engine.ops.protocol import Weight
from falsifiers.support import compare, cuda

Size = tuple[int, ...]
_PRODUCTS = "contracts/engine/ops/cuda/cuda-products-v3.yaml"
_LAYERS = "contracts/engine/ops/cuda/cuda-layers-v2.yaml"


@dataclass(frozen=True)
class Row:
    """One kernel."""

    measure: Callable[..., float]
    """Runs it at a size and returns its error in the metric of the claim."""
    odd: Size
    one: Size
    tail: Size
    zero: tuple[Size, ...]
    """Sizes that start nothing."""
    claim: str = ""
    """Contract and obligation that declare the limit; without one, no element may differ."""

    def sizes(self) -> dict[str, Size]:
        return {"odd": self.odd, "one": self.one, "tail": self.tail}


@contextmanager
def poisoned() -> Iterator[None]:
    """Fresh memory is NaN, or 77, so that an element which nobody writes shows."""
    import torch

    with ExitStack() as stack:
        for name in ("empty", "empty_like"):
            make = partial(_poison, getattr(torch, name))
            stack.enter_context(mock.patch.object(torch, name, make))
        yield


@contextmanager
def without_values() -> Iterator[None]:
    """Inside, results on tensors without storage are zeros: for looking at launches alone."""
    import torch

    def zeros(tensor: Any) -> Any:
        return torch.zeros(tuple(tensor.shape), dtype=tensor.dtype)

    with (
        mock.patch.object(torch.Tensor, "cpu", zeros),
        mock.patch.object(cuda, "relative", return_value=0.0),
        np.errstate(all="ignore"),
    ):
        yield


def _poison(original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    tensor = original(*arguments, **options)
    return tensor.fill_(float("nan") if tensor.is_floating_point() else 77)


def _put(array: npt.NDArray[Any]) -> Any:
    return cuda.module("target").put(array)


def _got(tensor: Any) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.cpu().numpy()
    return array


def _relative(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    if not expected.size:
        assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
        return 0.0
    return cuda.relative(found, expected)


def _share(found: npt.NDArray[Any], expected: npt.NDArray[Any], scale: npt.NDArray[Any]) -> float:
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    return compare.worst_share(found, expected, scale) if expected.size else 0.0


def _differing(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Elements that are not the same."""
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    return float((found != expected).sum())


def _worst_row(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Normalised squared error."""
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    if not expected.size:
        return 0.0
    return max(cuda.relative(found[t : t + 1], expected[t : t + 1]) for t in range(len(expected))) ** 2


def _product(found: npt.NDArray[Any], x: npt.NDArray[Any], weight: Weight) -> float:
    """Relative L2; of a single row, which may cancel to nothing, over the sums of magnitudes."""
    expected = cuda.product(x, weight)
    if weight.shape[0] != 1:
        return _relative(found, expected)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(_magnitudes(x, weight)))


def _magnitudes(x: npt.NDArray[Any], weight: Weight) -> npt.NDArray[np.float64]:
    weights = np.asarray(quant.decode(weight.type, weight.data), np.float64)
    sums: npt.NDArray[np.float64] = np.abs(x).astype(np.float64) @ np.abs(weights).T
    return sums


def _matvec(kind: GgmlType, tokens: int, rows: int, columns: int) -> float:
    """Plain, and gated with SwiGLU, where twice the rows are the two halves."""
    x, weight = cuda.with_outliers(cuda.draw(tokens, columns)), cuda.weight(kind, rows, columns)
    seen = cuda.in_8_bits(x) if kind in cuda.QUANTISED else x
    worst = _product(cuda.module().matmul(x, weight), seen, weight)
    if rows and tokens:
        both = cuda.weight(kind, 2 * rows, columns)
        done = cuda.module("products").gated(_put(x), cuda.module("weights").upload(both))
        gate, up = np.split(cuda.product(seen, both), 2, axis=1)
        size_gate, size_up = np.split(_magnitudes(seen, both), 2, axis=1)
        expected = gate / (1 + np.exp(-gate)) * up
        worst = max(worst, _share(_got(done.activated), expected, (1 + size_gate) * size_up))
    return worst


def _matmul(kind: GgmlType, tokens: int, rows: int, columns: int) -> float:
    x, weight = cuda.draw(tokens, columns), cuda.weight(kind, rows, columns)
    return _product(cuda.module().matmul(x, weight), x, weight) ** 2


def _exact(kind: GgmlType, tokens: int, rows: int, columns: int) -> float:
    x, weight = cuda.with_outliers(cuda.draw(tokens, columns)), cuda.weight(kind, rows, columns)
    return _product(cuda.module("exact").matmul(x, weight), x, weight)


def _float(tokens: int, rows: int, columns: int) -> float:
    return max(_exact(kind, tokens, rows, columns) for kind in cuda.PLAIN)


def _add(tokens: int, columns: int) -> float:
    x, y, bias = cuda.draw(tokens, columns), cuda.draw(tokens, columns, seed=1), cuda.draw(columns, seed=2)
    ops = cuda.module()
    return _differing(ops.add(x, y), x + y) + _differing(ops.add_bias(x, bias), x + bias)


def _argmax(tokens: int, columns: int) -> float:
    values = cuda.draw(tokens, columns)
    return _differing(_got(cuda.module("products").largest(_put(values))), values.astype(np.float64).argmax(axis=1))


def _attention(tokens: int, before: int, heads: int, kv_heads: int, head_dim: int) -> float:
    slots = tokens + before
    q = cuda.draw(tokens, heads, head_dim) * 2
    keys, values = (np.full((slots + 70, kv_heads, head_dim), np.nan, np.float32) for _ in range(2))
    for number, room in enumerate((keys, values)):
        room[:slots] = cuda.draw(slots, kv_heads, head_dim, seed=number).astype(np.float16)
    found = cuda.module().attention(q, keys, values, np.arange(before, slots))
    expected = np.empty(q.shape)
    for t in range(tokens):
        for head in range(heads):
            seen = np.s_[: before + t + 1, head // (heads // kv_heads)]
            scores = keys[seen].astype(np.float64) @ q[t, head].astype(np.float64) / np.sqrt(head_dim)
            share = np.exp(scores - scores.max())
            expected[t, head] = share @ values[seen].astype(np.float64) / share.sum()
    return _relative(found, expected)


def _embedding(tokens: int, rows: int, columns: int) -> float:
    worst = 0.0
    for kind in (*cuda.QUANTISED, *cuda.PLAIN):
        weight, ids = cuda.weight(kind, rows, columns), np.arange(tokens)[::-1] % rows
        expected = np.asarray(quant.decode(kind, weight.data), np.float64)[ids]
        scale = np.abs(expected).max(axis=1, keepdims=True, initial=0)
        worst = max(worst, _share(cuda.module().embedding(weight, ids), expected, scale))
    return worst


def _half_rows(tokens: int, columns: int) -> float:
    x = cuda.draw(tokens, columns) * np.float32(1e7)
    xh, scale = cuda.module("activations").halves(_put(x))
    return _worst_row((_got(xh).astype(np.float64) * _got(scale)[:, None]).astype(np.float32), x.astype(np.float64))


def _kv_append(tokens: int, heads: int, head_dim: int) -> float:
    cache = cuda.module("kv_cache").DeviceKvCache(2, heads, head_dim, tokens + 3)
    k, v = cuda.draw(tokens, heads, head_dim), cuda.draw(tokens, heads, head_dim, seed=1)
    cache.append(1, _put(k), _put(v))
    wrong = 0.0
    for found, given in zip(cache.view(1), (k, v), strict=True):
        wrong += _differing(_got(found)[:tokens], given.astype(np.float16))
        wrong += np.isfinite(_got(found)[tokens:]).sum()  # the slots behind are nobody's
    return wrong


def _quantise(tokens: int, columns: int) -> float:
    x = cuda.draw(tokens, columns)
    form = cuda.module("activations").quantised(_put(x))
    blocks = x.reshape(tokens, columns // 32, 32)
    d = np.abs(blocks).max(axis=2) / np.float32(127)
    q = np.rint(np.divide(blocks, d[..., None], out=np.zeros_like(blocks), where=d[..., None] > 0))
    return (
        _differing(_got(form.xd), d)
        + _differing(_got(form.xq).reshape(q.shape), q)
        + _differing(_got(form.x16), q.reshape(tokens, columns // 16, 16).sum(axis=2))
        + _differing(_got(form.xs), d * q.sum(axis=2).astype(np.float32))
    )


def _read_words(programs: int) -> float:
    launch, bandwidth = cuda.module("launch"), cuda.module("bandwidth")
    size = bandwidth.BLOCK * bandwidth.STEPS
    # sums stay below 2^31: the interpreter refuses what wraps around
    words = np.random.default_rng(programs).integers(-(1 << 16), 1 << 16, (programs, size)).astype(np.int32)
    sums = _put(np.full(programs, 77, np.int32))
    launch.launch(
        cuda.module("read_words").read_words, (programs, 1, 1), warps=bandwidth.WARPS,
        words=_put(words), sums=sums, STEPS=bandwidth.STEPS, BLOCK=bandwidth.BLOCK,
    )  # fmt: skip
    return _differing(_got(sums), words.sum(axis=1, dtype=np.int64))


def _rms_norm(tokens: int, columns: int) -> float:
    x, weight = cuda.draw(tokens, columns) * 3, cuda.draw(columns)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-6) * weight
    return _share(cuda.module().rms_norm(x, weight, eps=1e-6), expected, np.abs(expected) + 1e-30)


def _turned(x: npt.NDArray[Any], positions: Sequence[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """In float64, as multiplication of complex numbers; and the length of each pair."""
    half = x.shape[-1] // 2
    pairs = x[..., :half] + 1j * x[..., half:].astype(np.float64)
    angles = np.asarray(positions)[:, None, None] * 1e4 ** (-np.arange(half) / half)
    turned = pairs * np.exp(1j * angles)
    length = np.abs(pairs)
    return np.concatenate([turned.real, turned.imag], -1), np.concatenate([length, length], -1)


def _rope(tokens: int, heads: int, head_dim: int) -> float:
    x, positions = cuda.draw(tokens, heads, head_dim), np.arange(tokens, dtype=np.int64) * 997
    expected, length = _turned(x, positions.tolist())
    return _share(cuda.module().rope(x, positions, theta=1e4), expected, length)


def _rope_append(tokens: int, heads: int, kv_heads: int, head_dim: int) -> float:
    """Two parts and a bias for each of q, k and v; what is in the cache is the float16 of what was turned."""
    sums, given = [], []
    for seed, count in enumerate((heads, kv_heads, kv_heads)):
        parts, bias = cuda.draw(2, tokens, count * head_dim, seed=seed), cuda.draw(count * head_dim, seed=seed)
        shape = (tokens, count, head_dim)
        sums.append(cuda.module("sums").Sum(_put(parts), bias=_put(bias), shape=shape))
        given.append((parts[0] + parts[1] + bias).reshape(shape))
    cache = cuda.module("kv_cache").DeviceKvCache(1, kv_heads, head_dim, tokens + 3)
    positions = np.arange(tokens, dtype=np.int64)
    found = [_got(x) for x in cuda.module("resident").rope_append(*sums, positions, cache, 0, theta=1e4)]
    worst = max(_share(out, *_turned(x, positions.tolist())) for out, x in zip(found, given, strict=False))
    keys, values = (_got(room) for room in cache.view(0))
    stray = np.isfinite(keys[tokens:]).sum() + np.isfinite(values[tokens:]).sum()
    kept = _differing(keys[:tokens], found[1].astype(np.float16))
    kept += _differing(values[:tokens], given[2].astype(np.float16))
    return float(worst + kept + stray)


def _split_sum(parts: int, tokens: int, columns: int) -> float:
    """Bit for bit the float32 sum in the order of the parts, then bias, then residual."""
    x, bias, residual = cuda.draw(parts, tokens, columns), cuda.draw(columns), cuda.draw(tokens, columns)
    total = x[0].copy()
    for part in x[1:]:
        total += part
    found = cuda.module("sums").Sum(_put(x), bias=_put(bias), residual=_put(residual)).added()
    return _differing(_got(found), residual + (total + bias))


def _swiglu(tokens: int, columns: int) -> float:
    gate, up = cuda.draw(tokens, columns) * 10, cuda.draw(tokens, columns, seed=1)
    wide = gate.astype(np.float64)
    expected = wide / (1 + np.exp(-wide)) * up
    return _share(cuda.module().swiglu(gate, up), expected, (np.abs(expected) + 1e-30) * (1 + np.abs(wide)))


def _rows() -> Iterator[tuple[str, Row]]:
    for kind in cuda.QUANTISED:
        name = kind.name.lower()
        nothing = ((0, 5, 256), (2, 0, 256))
        yield (
            f"{name}_matvec",
            Row(partial(_matvec, kind), (3, 7, 768), (1, 1, 256), (2, 65, 768), nothing, f"{_PRODUCTS}#integer-path"),
        )
        yield (
            f"{name}_exact",
            Row(partial(_exact, kind), (3, 7, 768), (1, 1, 256), (2, 65, 768), nothing, f"{_PRODUCTS}#exact-mode"),
        )
        yield (
            f"{name}_matmul",
            Row(
                partial(_matmul, kind), (9, 7, 768), (9, 1, 256), (33, 65, 512), ((9, 0, 256),), f"{_PRODUCTS}#prefill"
            ),
        )
    claim = f"{_PRODUCTS}#exact-mode"
    yield "float_matvec", Row(_float, (3, 7, 31), (1, 1, 1), (2, 65, 1025), ((0, 5, 8), (2, 0, 8)), claim)
    yield "float_matmul", Row(_float, (9, 7, 31), (9, 1, 1), (33, 65, 65), ((9, 0, 8),), claim)
    yield "add", Row(_add, (3, 7), (1, 1), (3, 1025), ((0, 7), (3, 0)))
    yield "argmax", Row(_argmax, (3, 7), (1, 1), (2, 9001), ((0, 7),))
    claim = f"{_LAYERS}#attention"
    decode = Row(_attention, (1, 6, 7, 1, 10), (1, 0, 1, 1, 2), (1, 129, 4, 2, 64), ((0, 3, 4, 2, 8),), claim)
    yield "attention_decode", decode
    yield "attention_merge", decode
    yield (
        "attention_prefill",
        Row(_attention, (3, 5, 3, 3, 10), (2, 0, 1, 1, 2), (37, 50, 4, 2, 64), ((0, 3, 4, 2, 8),), claim),
    )
    yield "embedding", Row(_embedding, (3, 7, 768), (1, 1, 256), (2, 5, 1280), ((0, 3, 256),), f"{_LAYERS}#embedding")
    yield "half_rows", Row(_half_rows, (3, 7), (1, 1), (2, 1025), ((0, 7),), f"{_PRODUCTS}#prefill")
    yield "kv_append", Row(_kv_append, (3, 3, 7), (1, 1, 1), (2, 5, 205), ((0, 2, 8),))
    yield "quantise", Row(_quantise, (3, 96), (1, 32), (2, 1056), ((0, 64), (3, 0)))
    yield "read_words", Row(_read_words, (3,), (1,), (5,), ((0,),))
    yield "rms_norm", Row(_rms_norm, (3, 7), (1, 1), (2, 1025), ((0, 64),), f"{_LAYERS}#rms-norm")
    claim = f"{_LAYERS}#rope"
    yield "rope", Row(_rope, (3, 3, 6), (1, 1, 2), (2, 5, 130), ((0, 4, 8),), claim)
    yield "rope_append", Row(_rope_append, (3, 3, 1, 6), (1, 1, 1, 2), (2, 6, 2, 130), ((0, 4, 2, 8),), claim)
    yield "split_sum", Row(_split_sum, (3, 3, 7), (2, 1, 1), (2, 2, 1025), ((2, 0, 7), (2, 3, 0)))
    yield "swiglu", Row(_swiglu, (3, 7), (1, 1), (3, 1100), ((0, 7), (3, 0)), f"{_LAYERS}#swiglu")


ROWS: dict[str, Row] = dict(_rows())
