"""Seeded faults for claims about reading, tracing and backends; those of the model's arithmetic are in `engine.faults`.

Each is a context manager without arguments that replaces one function of the engine while it is entered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

IN_CHILD = "PV_FALSIFIER_FAULTS"
"""Environment variable: names of faults that a falsifier's child process enters as well, separated by spaces."""


def for_child() -> dict[str, str]:
    """What a falsifier adds to the environment of its child."""
    return {IN_CHILD: os.environ[IN_CHILD]} if IN_CHILD in os.environ else {}


@contextmanager
def gguf_size_unchecked() -> Iterator[None]:
    """Tensor infos are believed: the file is taken to be a pebibyte long."""
    reader: Any = import_module("engine.gguf.reader")
    original = reader.read_tensors

    def believing(cursor: Any, *arguments: Any) -> Any:
        size, cursor.size_bytes = cursor.size_bytes, 1 << 50
        try:
            return original(cursor, *arguments)
        finally:
            cursor.size_bytes = size

    with mock.patch.object(reader, "read_tensors", believing):
        yield


@contextmanager
def gguf_counts_cut_to_32_bits() -> Iterator[None]:
    """The upper half of every 64-bit number is lost, as in a reader that multiplies in 32 bits."""
    from engine.gguf.cursor import Cursor

    original = Cursor.u64

    def cut(self: Cursor, code: str, what: str) -> int:
        return original(self, code, what) & 0xFFFF_FFFF

    with mock.patch.object(Cursor, "u64", cut):
        yield


@contextmanager
def gguf_arrays_lose_their_last() -> Iterator[None]:
    """Every array of the metadata ends one element early."""
    from engine.gguf import header

    original = header.read_metadata

    def shortened(*arguments: Any) -> Any:
        entries: dict[str, Any] = dict(original(*arguments))
        return {key: replace(e, value=e.value[:-1]) if e.element_type else e for key, e in entries.items()}

    with mock.patch.object(header, "read_metadata", shortened):
        yield


@contextmanager
def q8_0_unsigned() -> Iterator[None]:
    """Negative quants are read as bytes of 128 to 255."""
    from engine.quant import q8_0

    def unsigned(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        blocks = np.ascontiguousarray(raw).reshape(-1, 34)
        d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        return (d * blocks[:, 2:]).reshape(*raw.shape[:-1], raw.shape[-1] // 34 * 32)

    with mock.patch.object(q8_0, "decode", unsigned):
        yield


@contextmanager
def cpu_matmul_drops_tail() -> Iterator[None]:
    """The last 16 columns of a row do not take part in the product."""
    from engine.ops import cpu

    original = cpu.matmul

    def shortened(x: npt.NDArray[np.float32], weight: Any) -> npt.NDArray[np.float32]:
        kept = x.copy()
        kept[:, -16:] = 0
        return original(kept, weight)

    with mock.patch.object(cpu, "matmul", shortened):
        yield


@contextmanager
def weights_decoded_at_load() -> Iterator[None]:
    """Every matrix is decoded to float32 when the model is loaded."""
    from engine import quant
    from engine.gguf.types import GgmlType
    from engine.models.tensors import TensorTable

    original = TensorTable.matrix

    def decoded(self: TensorTable, name: str, shape: tuple[int, int]) -> Any:
        weight = original(self, name, shape)
        values = quant.decode(weight.type, weight.data)
        return replace(weight, type=GgmlType.F32, data=values.view(np.uint8))

    with mock.patch.object(TensorTable, "matrix", decoded):
        yield


@contextmanager
def attention_sees_itself_only() -> Iterator[None]:
    """Every token attends to its own slot alone."""
    from engine.ops import cpu

    original = cpu.attention

    def alone(q: Any, k: Any, v: Any, positions: Any, **_: Any) -> Any:
        first = np.zeros(1, np.int64)
        rows = [original(q[t : t + 1], k[p : p + 1], v[p : p + 1], first) for t, p in enumerate(positions)]
        return np.concatenate(rows)

    with mock.patch.object(cpu, "attention", alone):
        yield


@contextmanager
def threads_change_sums() -> Iterator[None]:
    """With several threads each adds a share of the columns, and the shares are added."""
    from engine.ops import cpu

    original = cpu.matmul

    def shared(x: npt.NDArray[np.float32], weight: Any) -> npt.NDArray[np.float32]:
        if cpu.threads() == 1:
            return original(x, weight)
        left, right = x.copy(), x.copy()
        left[:, x.shape[1] // 2 :] = 0
        right[:, : x.shape[1] // 2] = 0
        return original(left, weight) + original(right, weight)

    with mock.patch.object(cpu, "matmul", shared):
        yield


@contextmanager
def tap_runs_another_forward() -> Iterator[None]:
    """With a tap the logits come from a forward that rounds otherwise."""
    from engine.models.qwen2 import Qwen2

    original = Qwen2.forward

    def traced(self: Qwen2, token_ids: Any, kv_cache: Any, *, tap: Any = None, last_only: bool = False) -> Any:
        logits = original(self, token_ids, kv_cache, tap=tap, last_only=last_only)
        return logits if tap is None else logits * np.float32(1 + 2.0**-20)

    with mock.patch.object(Qwen2, "forward", traced):
        yield


@contextmanager
def tap_shows_stale_arrays() -> Iterator[None]:
    """A tap is shown the arrays of layer 0 for every layer."""
    from engine.models.qwen2 import Qwen2

    original = Qwen2.forward

    def stale(self: Qwen2, token_ids: Any, kv_cache: Any, *, tap: Any = None, last_only: bool = False) -> Any:
        first: dict[str, Any] = {}

        def show(name: str, layer: int | None, array: Any) -> None:
            tap(name, layer, array if layer is None else first.setdefault(name, array))

        return original(self, token_ids, kv_cache, tap=show if tap else None, last_only=last_only)

    with mock.patch.object(Qwen2, "forward", stale):
        yield


@contextmanager
def special_tokens_everywhere() -> Iterator[None]:
    """Control tokens are made of any text, whatever the caller allows."""
    from engine.tokenizer import Tokenizer

    original = Tokenizer.encode

    def encode(self: Tokenizer, text: str, *, special: bool) -> list[int]:
        del special
        return original(self, text, special=True)

    with mock.patch.object(Tokenizer, "encode", encode):
        yield


@contextmanager
def byte_alphabet_shifted() -> Iterator[None]:
    """Bytes from 0x80 on are decoded as their right neighbour."""
    import engine.tokenizer as tokenizer
    from engine.tokenizer.stream import token_bytes as original

    def shifted(token: str) -> bytes:
        return bytes(byte if byte < 0x80 else 0x80 | (byte + 1) & 0x7F for byte in original(token))

    with mock.patch.object(tokenizer, "token_bytes", shifted):
        yield


@contextmanager
def greedy_takes_second() -> Iterator[None]:
    """Greedy decoding returns the second largest logit."""
    from engine import sampling

    original = sampling.sample

    def second(logits: npt.NDArray[np.float32], params: Any, rng: Any) -> int:
        return int(np.argsort(-logits, kind="stable")[1]) if params.greedy else original(logits, params, rng)

    with mock.patch.object(sampling, "sample", second):
        yield


class _Fallback(ModuleType):
    """Says that it is the CPU backend, and runs the reference."""

    precision = "float32"

    def __getattr__(self, attribute: str) -> Any:
        from engine.ops import reference

        return getattr(reference, attribute)


@contextmanager
def silent_fallback() -> Iterator[None]:
    """Another backend runs than was asked for, and the run record does not say so."""
    from engine import models

    fallback = _Fallback("cpu")
    fallback.name = "cpu"  # type: ignore[attr-defined]
    with mock.patch.object(models, "load_ops", return_value=fallback):
        yield


@contextmanager
def no_gpu_ignored() -> Iterator[None]:
    """Loading a model looks for a GPU whatever the flags say; entered in a falsifier's child as well."""
    from engine.llm import Llm

    original = Llm.__init__

    def probing(self: Llm, *arguments: Any, **options: Any) -> None:
        with suppress(ImportError):
            __import__("torch").cuda.is_available()
        original(self, *arguments, **options)

    before: Sequence[str] = os.environ.get(IN_CHILD, "").split()
    names = " ".join([*before, "no_gpu_ignored"])
    with mock.patch.dict(os.environ, {IN_CHILD: names}), mock.patch.object(Llm, "__init__", probing):
        yield


@contextmanager
def integer_activations_clipped() -> Iterator[None]:
    """Activations beyond 8 times their rms are cut before they are rounded: outlier channels lose their size."""
    from engine.ops.cpu import activations

    original = activations.quantise

    def clipped(x: npt.NDArray[np.float32], *arguments: Any) -> None:
        reach = 8 * float(np.sqrt(np.mean(np.square(x))))
        original(np.clip(x, -reach, reach).astype(np.float32), *arguments)

    with mock.patch.object(activations, "quantise", clipped):
        yield


@contextmanager
def integer_low_plane_dropped() -> Iterator[None]:
    """Of 16-bit activations only the high byte takes part; 8-bit ones lose their lowest bit."""
    from engine.ops.cpu import activations

    original = activations.quantise

    def halved(x: Any, planes: int, block: int, values: Any, scales: Any) -> None:
        original(x, planes, block, values, scales)
        columns = x.shape[1]
        if planes == 2:
            values.reshape(len(x), 2, columns)[:, 1] = 0
        else:
            values &= -2

    with mock.patch.object(activations, "quantise", halved):
        yield


@contextmanager
def integer_offsets_dropped() -> Iterator[None]:
    """Offsets of quants, and minimums of Q4_K and Q5_K, are not subtracted."""
    from engine.ops.cpu import activations

    offsets, digits = activations.offsets, activations.digits

    def without(run: Any) -> Any:
        def wrong(*arguments: Any) -> None:
            run(*arguments)
            arguments[-1][...] = 0

        return wrong

    changed = {"offsets": without(offsets), "digits": without(digits)}
    with mock.patch.multiple(activations, **changed):
        yield


@contextmanager
def integer_rows_shifted() -> Iterator[None]:
    """Rows of the last, unfinished group are the ones before them."""
    from engine.ops.cpu import interleave

    original = interleave.interleave

    def shifted(weight: Any, lanes: int, threads: int) -> Any:
        rows = np.maximum(np.arange(len(weight.data)) - (len(weight.data) % lanes != 0), 0)
        moved = replace(weight, data=np.ascontiguousarray(weight.data[rows]))
        return original(moved, lanes, threads)

    with mock.patch.object(interleave, "interleave", shifted):
        yield


@contextmanager
def integer_tile_rounds_otherwise() -> Iterator[None]:
    """Products of several tokens join their blocks in another order than those of one."""
    from engine.ops.cpu.integer import IntegerOps

    original = IntegerOps.matmul

    def otherwise(self: IntegerOps, x: Any, weight: Any) -> Any:
        out = original(self, x, weight)
        return out if len(x) == 1 else out * np.float32(1 + 2.0**-22)

    with mock.patch.object(IntegerOps, "matmul", otherwise):
        yield


@contextmanager
def _in_child_too(name: str) -> Iterator[None]:
    before: Sequence[str] = os.environ.get(IN_CHILD, "").split()
    with mock.patch.dict(os.environ, {IN_CHILD: " ".join([*before, name])}):
        yield


@contextmanager
def integer_weights_decoded() -> Iterator[None]:
    """Every product of the fast precisions takes a float32 copy of its weight, which is kept; in a child as well."""
    from engine import quant
    from engine.gguf.types import GgmlType
    from engine.ops.cpu import floats
    from engine.ops.cpu.integer import IntegerOps

    copies: dict[int, Any] = {}

    def decoded(self: IntegerOps, x: Any, weight: Any) -> Any:
        if id(weight) not in copies:
            values = np.ascontiguousarray(quant.decode(weight.type, weight.data))
            copies[id(weight)] = weight, replace(weight, type=GgmlType.F32, data=values.view(np.uint8))
        return floats.matmul(self.pool, x, copies[id(weight)][1])

    with _in_child_too("integer_weights_decoded"), mock.patch.object(IntegerOps, "matmul", decoded):
        yield


@contextmanager
def integer_weights_copied() -> Iterator[None]:
    """Rearranged weights are kept beside a copy of those of the file; in a child as well."""
    from engine.ops.cpu import interleave

    original, kept = interleave.interleave, []

    def copied(weight: Any, lanes: int, threads: int) -> Any:
        kept.append(weight.data.copy())
        return original(weight, lanes, threads)

    with _in_child_too("integer_weights_copied"), mock.patch.object(interleave, "interleave", copied):
        yield


@contextmanager
def integer_products_by_decoding() -> Iterator[None]:
    """The fast precisions multiply as float32 does: weights decoded at every use."""
    from engine.ops.cpu import floats
    from engine.ops.cpu.integer import IntegerOps

    def slow(self: IntegerOps, x: Any, weight: Any) -> Any:
        return floats.matmul(self.pool, x, weight)

    with mock.patch.object(IntegerOps, "matmul", slow):
        yield


@contextmanager
def kv_cache_keeps_four_bits() -> Iterator[None]:
    """Keys and values stored as float16 keep four bits of their fraction."""
    from engine.kv_cache import KvCache

    original = KvCache._write

    def coarse(self: KvCache, layer: int, start: int, k: Any, v: Any) -> None:
        if self.kind == "f16":
            k, v = ((x.astype(np.float16).view(np.uint16) & 0xFFC0).view(np.float16) for x in (k, v))
        original(self, layer, start, k, v)

    with mock.patch.object(KvCache, "_write", coarse):
        yield
