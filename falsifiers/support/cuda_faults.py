"""Seeded faults of the CUDA backend, planted where its launchers look things up.

Each is a context manager without arguments. They work on a GPU and under the interpreter alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from falsifiers.support import cuda


@contextmanager
def _wrong(module: str, name: str, wrong: Callable[..., Any]) -> Iterator[None]:
    """`wrong(original, *arguments)` in place of a function of the backend."""
    owner = cuda.module(module)
    original = getattr(owner, name)

    def replacement(*arguments: Any, **options: Any) -> Any:
        return wrong(original, *arguments, **options)

    with mock.patch.object(owner, name, replacement):
        yield


def q4k_nibbles_swapped() -> Any:
    """The two weights of each byte of a Q4_K block change places on their way to the device."""

    def wrong(planes: Any, kind: Any, data: Any) -> Any:
        if kind.name != "Q4_K":
            return planes(kind, data)
        blocks = np.array(data).reshape(-1, 144)
        blocks[:, 16:] = blocks[:, 16:] >> 4 | blocks[:, 16:] << 4
        return (blocks.reshape(data.shape),)

    return _wrong("weights", "_planes", wrong)


def q6k_not_repacked() -> Any:
    """The low bits of Q6_K keep the order of the file, and kernels expect that of the repacked units."""

    def wrong(planes: Any, data: Any) -> Any:
        blocks = np.asarray(data).reshape(len(data), -1, 210)
        low = np.ascontiguousarray(blocks[:, :, :128]).reshape(len(data), -1)
        return (low, *planes(data)[1:])

    return _wrong("weights", "_q6_k_planes", wrong)


def q8_scales_shifted() -> Any:
    """Every block of Q8_0 takes the scale of the block before it."""

    def wrong(planes: Any, kind: Any, data: Any) -> Any:
        found = planes(kind, data)
        if kind.name != "Q8_0":
            return found
        return found[0], np.ascontiguousarray(np.roll(found[1], 2, axis=1))

    return _wrong("weights", "_planes", wrong)


def minimums_dropped() -> Any:
    """The sums of the activations, which the minimums of Q4_K are multiplied with, are 0."""

    def wrong(quantised: Any, x: Any) -> Any:
        found = quantised(x)
        return replace(found, xs=found.xs * 0)

    return _wrong("activations", "quantised", wrong)


def one_scale_for_a_row() -> Any:
    """Activations are rounded to 8 bits with the scale of the whole row before they are quantised in blocks."""

    def wrong(quantised: Any, x: Any) -> Any:
        d = x.abs().amax(dim=1, keepdim=True) / 127
        return quantised((x / d).round() * d)

    return _wrong("activations", "quantised", wrong)


def exact_mode_is_not() -> Any:
    """The exact mode takes 8-bit activations."""
    resident = cuda.module("resident")

    def wrong(exact: Any, x: Any, weight: Any) -> Any:
        del exact
        return resident.matmul(x[:1].contiguous(), weight)

    return _wrong("resident", "exact_matmul", wrong)


def halves_not_scaled() -> Any:
    """Activations become float16 as they are: what is beyond 65504 is infinite."""

    def wrong(halves: Any, x: Any) -> Any:
        _, scale = halves(x)
        return x.half(), scale * 0 + 1

    return _wrong("activations", "halves", wrong)


def not_finite_hidden() -> Any:
    """NaN and infinity become numbers before they are quantised, as by a maximum that skips NaN."""

    def wrong(put: Any, array: Any) -> Any:
        return put(np.nan_to_num(array, nan=0.0, posinf=1e4, neginf=-1e4) if array.dtype == np.float32 else array)

    return _wrong("target", "put", wrong)


def tail_dropped() -> Any:
    """The last column of a row does not take part in products."""

    def wrong(matmul: Any, x: Any, weight: Any, *, exact: bool) -> Any:
        shortened = x.clone()
        shortened[:, -1] = 0
        return matmul(shortened, weight, exact=exact)

    return _wrong("products", "matmul", wrong)


def norm_epsilon() -> Any:
    """Epsilon is 0.1 too large."""
    return _wrong("resident", "rms_norm", lambda norm, x, weight, *, eps: norm(x, weight, eps=eps + 0.1))


@contextmanager
def rope_position_off_by_one() -> Iterator[None]:
    """Positions count from 1, in the rotation alone and in that on the way to the cache."""
    turn = cuda.module("resident").rope

    def shifted(rope: Any, x: Any, positions: Any, **how: Any) -> Any:
        return rope(x, positions + 1, **how)

    def turned_before(append: Any, q: Any, k: Any, v: Any, positions: Any, *rest: Any, **how: Any) -> Any:
        q, k = (turn(x, np.ones_like(positions), **how) for x in (q, k))
        return append(q, k, v, positions, *rest, **how)

    with _wrong("resident", "rope", shifted), _wrong("resident", "rope_append", turned_before):
        yield


def rope_theta_doubled() -> Any:
    """q and k turn by the angles of twice their theta; counting positions from 1 would change nothing in a model."""

    def wrong(append: Any, *arguments: Any, theta: float, **how: Any) -> Any:
        return append(*arguments, theta=2 * theta, **how)

    return _wrong("resident", "rope_append", wrong)


def values_turned() -> Any:
    """Values turn with their keys on the way to the cache."""
    turn = cuda.module("resident").rope

    def wrong(append: Any, q: Any, k: Any, v: Any, positions: Any, *rest: Any, **how: Any) -> Any:
        return append(q, k, turn(v, positions, **how), positions, *rest, **how)

    return _wrong("resident", "rope_append", wrong)


def gate_below_up() -> Any:
    """Rows that share a launch lie below each other in the wrong order."""
    return _wrong("weights", "stack", lambda stack, hosts: stack(list(hosts)[::-1]))


def last_of_equals() -> Any:
    """Of equal logits the last one is chosen."""

    def wrong(largest: Any, values: Any) -> Any:
        return values.shape[1] - 1 - largest(values.flip(1))

    return _wrong("products", "largest", wrong)


@contextmanager
def nothing_fused() -> Iterator[SimpleNamespace]:
    """Every step of a layer is a launch of its own."""
    with ExitStack() as entered:
        for name in ("multiply_all", "rope_append", "add_product", "gated_product"):
            entered.enter_context(mock.patch.object(cuda.module("resident"), name, None))
        # names that are gone run no code of this file
        yield SimpleNamespace(applied=True)


def swiglu_swapped() -> Any:
    """The gate is multiplied, the other half is gated."""
    return _wrong("resident", "swiglu", lambda swiglu, gate, up: swiglu(up, gate))


def attention_one_slot_too_many() -> Any:
    """Each query sees the slot after its own, which may hold anything."""

    def wrong(attention: Any, q: Any, k: Any, v: Any, positions: Any, **limits: Any) -> Any:
        return attention(q, k, v, np.minimum(positions + 1, len(k) - 1), **limits)

    return _wrong("resident", "attention", wrong)


def attention_without_mask() -> Any:
    """Every query of a batch sees the slots of the last one."""

    def wrong(attention: Any, q: Any, k: Any, v: Any, positions: Any, **limits: Any) -> Any:
        return attention(q, k, v, np.full_like(positions, positions.max(initial=0)), **limits)

    return _wrong("resident", "attention", wrong)


def embedding_of_the_neighbour() -> Any:
    """Every token gets the row of the one before it."""

    def wrong(embedding: Any, weight: Any, token_ids: Any) -> Any:
        return embedding(weight, np.maximum(token_ids - 1, 0))

    return _wrong("resident", "embedding", wrong)


def bias_doubled() -> Any:
    """A bias is added twice."""
    return _wrong("resident", "add_bias", lambda add, x, bias: add(add(x, bias), bias))


def tap_recomputes() -> Any:
    """With a tap the logits come from a forward that rounds otherwise."""
    from engine.models.on_device import OnDevice

    original = OnDevice.forward

    def traced(self: OnDevice, *arguments: Any, tap: Any = None, **options: Any) -> Any:
        logits = original(self, *arguments, tap=tap, **options)
        return logits if tap is None else logits * np.float32(1 + 2.0**-20)

    return mock.patch.object(OnDevice, "forward", traced)


def gate_lets_all_pass() -> Any:
    """The gate measures, and accepts whatever it finds."""
    from engine.models import parity_gate

    return mock.patch.object(parity_gate, "require", parity_gate.compare)


def graph_keeps_its_position() -> Any:
    """A replay takes the position of the capture, not the next one."""
    graph = cuda.module("graph")
    original = graph._set_inputs
    first: list[int] = []

    def stuck(token_id: int, position: int) -> Any:
        first.append(position)
        return original(token_id, first[0])

    return mock.patch.object(graph, "_set_inputs", stuck)


def weights_in_float32() -> Any:
    """A float32 copy of every weight stays on the device."""
    kept: list[Any] = []

    def wrong(upload: Any, weight: Any) -> Any:
        found = upload(weight)
        kept.append(cuda.module("target").put(np.zeros(weight.shape, np.float32)))
        return found

    return _wrong("weights", "upload", wrong)


@contextmanager
def sums_in_any_order() -> Iterator[None]:
    """Products differ in the last bits from run to run, as with atomic additions; entered in children as well."""
    rng = np.random.default_rng()

    def wrong(multiply: Any, x: Any, weight: Any, *, exact: bool) -> Any:
        found = multiply(x, weight, exact=exact)
        return replace(found, parts=found.parts * float(1 + rng.integers(0, 1 << 10) * 2.0**-22))

    with cuda.planting("sums_in_any_order"), _wrong("products", "multiply", wrong):
        yield


def launches_not_counted() -> Any:
    """The counters lose what was launched before they are asked again."""
    launch = cuda.module("launch")
    original = launch.counts

    def lost() -> dict[str, int]:
        counted = original()
        return {name: min(number, 1) for name, number in counted.items()}

    return mock.patch.object(launch, "counts", lost)


@contextmanager
def every_forward_waits() -> Iterator[None]:
    """Half a second passes before every token: slower than any CPU with a model that is worth a GPU."""
    import time

    from engine.models.on_device import OnDevice

    original = OnDevice.next_token

    def slow(self: OnDevice, *arguments: Any) -> int:
        time.sleep(0.5)
        return original(self, *arguments)

    with mock.patch.object(OnDevice, "next_token", slow):
        yield


def alignment_not_promised() -> Any:
    """Kernels are compiled without the alignment of their arguments."""
    return _wrong("compiled", "specialise", lambda specialise, launched: (*specialise(launched)[:2], {}))


def products_by_shifts() -> Any:
    """The four products of dp4a are computed one by one, as under the interpreter."""
    return _wrong("target", "assembly", lambda _: False)


def one_warp_for_all() -> Any:
    """A tile of 64 rows is given to a single warp."""

    def wrong(table: Any) -> Any:
        found = table()
        return replace(found, matvec={kind: replace(c, rows=64, warps=1) for kind, c in found.matvec.items()})

    return _wrong("configs", "table", wrong)


def a_tile_too_large() -> Any:
    """Attention in prefill takes 128 tokens and 128 slots at once, more than registers hold."""

    def wrong(table: Any) -> Any:
        found = table()
        return replace(found, attention=replace(found.attention, tokens=128, slots=128))

    return _wrong("configs", "table", wrong)


def embedding_not_compiled() -> Any:
    """The compile gate leaves out the embedding."""
    return _wrong("resident", "embedding", lambda _embedding, _weight, _ids: None)


def row_forgotten() -> Any:
    """There is a kernel more, and it has no row among the edge cases."""
    original = cuda.kernels

    def with_another() -> frozenset[str]:
        return original() | {"new_kernel"}

    return mock.patch.object(cuda, "kernels", with_another)


@contextmanager
def last_program_not_started() -> Iterator[None]:
    """Of every grid with several programs along its first axis the last one is missing."""
    launch = cuda.module("launch")
    original = launch._runner

    def fewer(launched: Any) -> None:
        first, *others = launched.grid
        original(replace(launched, grid=(max(1, first - 1), *others)))

    with mock.patch.object(launch, "_runner", fewer):
        yield


@contextmanager
def launched_for_nothing() -> Iterator[None]:
    """A sum over no elements is counted as a launch."""
    resident, launch = cuda.module("resident"), cuda.module("launch")
    original = resident._sum

    def counted(x: Any, y: Any) -> Any:
        launch.add_counts({"add": int(x.numel() == 0)})
        return original(x, y)

    with mock.patch.object(resident, "_sum", counted):
        yield
