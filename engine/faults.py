"""Seeded faults: mistakes of the kind that real engines shipped, planted to see whether a test notices.

Each is a function without required arguments that gives a context manager; inside it the fault is in the engine,
after it everything is as it was. What replaces a function of the engine is a Python function of this file, on both
backends where they share the place.

A fault takes the place of what is looked up at call time: `q4_k.decode`, `ops.rope`, a method. A name bound before by
`from engine.quant.q4_k import decode` keeps the right function.
"""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from engine import chat, generate, kv_cache, llm, quant, sampling, tokenizer
from engine.gguf import reader
from engine.gguf.cursor import Cursor
from engine.gguf.tensors import TensorInfo
from engine.gguf.types import GgmlType, layout
from engine.models.decoder import Decoder
from engine.ops.protocol import F32, I64, U8, Ops, Weight
from engine.ops.rotary import PLAIN, Rotary
from engine.quant import q4_k, q6_k
from engine.sampling import Sampling
from engine.tokenizer import Tokenizer, Vocabulary

Seeded = AbstractContextManager[None]
Wrong = Callable[..., Any]
"""Called as wrong(original, *arguments) in place of original(*arguments)."""


@contextmanager
def _seeded(*places: tuple[object, str, Wrong]) -> Iterator[None]:
    """Replace attributes of modules or classes, and put the originals back whatever happens."""
    originals = [(owner, name, vars(owner)[name]) for owner, name, _ in places]
    for (owner, name, wrong), (_, _, original) in zip(places, originals, strict=True):
        setattr(owner, name, _bound(wrong, original))
    try:
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


def _bound(wrong: Wrong, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return wrong(original, *args, **kwargs)

    return replacement


def _on_ops(name: str, wrong: Wrong) -> Seeded:
    """The same fault in both backends."""
    modules = [importlib.import_module(f"engine.ops.{backend}") for backend in ("reference", "cpu")]
    return _seeded(*((module, name, wrong) for module in modules))


def _on_weights(module: Any, kind: GgmlType, misread: Callable[[Callable[[U8], F32], U8], F32]) -> Seeded:
    """Weights of one type are misread: by the codec, and by the matmul and embedding of both backends.

    Args:
        module: the codec, such as `engine.quant.q4_k`.
        misread: called with the right decode and the packed rows.
    """
    right = module.decode

    def wrong_codec(original: Any, raw: U8) -> F32:
        return misread(original, raw)

    def wrong_decode(original: Any, type_: GgmlType, raw: U8) -> Any:
        return misread(right, raw) if type_ == kind else original(type_, raw)

    def wrong_matmul(original: Any, x: F32, weight: Weight) -> Any:
        if weight.type != kind:
            return original(x, weight)
        values = np.ascontiguousarray(misread(right, weight.data))
        return original(x, replace(weight, type=GgmlType.F32, data=values.view(np.uint8)))

    return _seeded(
        (module, "decode", wrong_codec),
        (quant, "decode", wrong_decode),
        (importlib.import_module("engine.ops.cpu"), "matmul", wrong_matmul),
    )


def _with_bytes(type_size: int, start: int, end: int, change: Callable[[U8], npt.NDArray[Any]]) -> Callable[..., F32]:
    """Decode with bytes start..end of each block changed."""

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        blocks = np.array(raw).reshape(-1, type_size)
        blocks[:, start:end] = change(blocks[:, start:end])
        return decode(blocks.reshape(raw.shape))

    return misread


# Weights.


def q4k_nibble_swap() -> Seeded:
    """The two weights of each byte change places."""
    return _on_weights(q4_k, GgmlType.Q4_K, _with_bytes(144, 16, 144, lambda qs: qs >> 4 | qs << 4))


def q4k_scale_high_bits_lost() -> Seeded:
    """Scales 4 to 7 lose their top two bits, which lie in bytes 0 to 3 of the scales."""
    return _on_weights(q4_k, GgmlType.Q4_K, _with_bytes(144, 4, 8, lambda scales: scales & 63))


def q4k_min_sign() -> Seeded:
    """Minimums are added and not subtracted."""
    return _on_weights(q4_k, GgmlType.Q4_K, _with_bytes(144, 3, 4, lambda high: high ^ 0x80))


def q6k_high_bits_lost() -> Seeded:
    """The upper two bits of each quant are taken as 0."""
    return _on_weights(q6_k, GgmlType.Q6_K, _with_bytes(210, 128, 192, np.zeros_like))


def q6k_scale_unsigned() -> Seeded:
    """A negative int8 scale is read as uint8."""

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        scales = np.ascontiguousarray(raw).reshape(-1, 210)[:, 192:208].view(np.int8).astype(np.float32)
        factor = np.where(scales < 0, (scales + 256) / np.where(scales < 0, scales, 1), 1).astype(np.float32)
        weights = decode(raw)
        return (weights.reshape(-1, 16, 16) * factor[:, :, None]).reshape(weights.shape)

    return _on_weights(q6_k, GgmlType.Q6_K, misread)


# File.


def _on_tensor_infos(change: Callable[[Cursor, TensorInfo, int], TensorInfo]) -> Seeded:
    def wrong(
        read: Any, cursor: Cursor, count: int, alignment: int, types: Collection[GgmlType]
    ) -> tuple[dict[str, TensorInfo], list[str]]:
        tensors, warnings = read(cursor, count, alignment, types)
        return {name: change(cursor, info, alignment) for name, info in tensors.items()}, warnings

    return _seeded((reader, "read_tensors", wrong))


def gguf_reader_wrong_offset() -> Seeded:
    """Tensors are read one alignment too late, where the file goes on that far."""

    def change(cursor: Cursor, info: TensorInfo, alignment: int) -> TensorInfo:
        fits = info.offset + alignment + info.size_bytes <= cursor.size_bytes
        return replace(info, offset=info.offset + alignment) if fits else info

    return _on_tensor_infos(change)


def gguf_dims_reversed() -> Seeded:
    """Dimensions keep the order of the file, where whole blocks allow it."""

    def change(cursor: Cursor, info: TensorInfo, alignment: int) -> TensorInfo:  # noqa: ARG001
        return info if info.shape[0] % layout(info.type)[0] else replace(info, shape=info.shape[::-1])

    return _on_tensor_infos(change)


# Operations.


def rope_on_q_only() -> Seeded:
    """Keys go into the cache without their rotation."""

    def wrong(block: Any, model: Decoder, *args: Any) -> Any:
        turns = itertools.count()

        def rope(x: F32, positions: I64, **how: Any) -> F32:
            return ops.rope(x, positions, **how) if next(turns) == 0 else x

        ops, model.ops = model.ops, _Except(model.ops, rope=rope)
        try:
            return block(model, *args)
        finally:
            model.ops = ops

    return _seeded((Decoder, "_attention_block", wrong))


class _Except:
    """A backend with some operations replaced."""

    def __init__(self, ops: Ops, **replaced: Callable[..., Any]) -> None:
        self._ops = ops
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._ops, name)


def rope_wrong_pairing() -> Seeded:
    """Neighbours (2i, 2i + 1) are the pairs where halves (i, i + Dh/2) should be, and the other way round."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, adjacent=not rotary.adjacent))

    return _on_ops("rope", wrong)


def rope_scaling_ignored() -> Seeded:
    """Angles are those of the base alone."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, factors=()))

    return _on_ops("rope", wrong)


def rope_magnitude_ignored() -> Seeded:
    """Turned pairs keep their length under YaRN."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, magnitude=1.0))

    return _on_ops("rope", wrong)


def rope_theta_off() -> Seeded:
    """The base is ten times too large."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, **how: Any) -> Any:
        return rope(x, positions, theta=10 * theta, **how)

    return _on_ops("rope", wrong)


def rope_position_off_by_one() -> Seeded:
    """Positions count from 1 where tokens come one at a time, from 0 in a prompt; position 0 alone is 1 as well."""

    def wrong(rope: Any, x: F32, positions: I64, **how: Any) -> Any:
        return rope(x, positions + (len(positions) == 1 or not positions.any()), **how)

    return _on_ops("rope", wrong)


def missing_attention_scale() -> Seeded:
    """Scores are not divided by sqrt(Dh)."""

    def wrong(attention: Any, q: F32, *args: Any, **limits: Any) -> Any:
        return attention(q * np.float32(q.shape[-1] ** 0.5), *args, **limits)

    return _on_ops("attention", wrong)


def causal_mask_off_by_one() -> Seeded:
    """Each query sees the token after it as well."""

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> Any:
        return attention(q, k, v, np.minimum(positions + 1, len(k) - 1), **limits)

    return _on_ops("attention", wrong)


def window_off_by_one() -> Seeded:
    """A sliding window does not count the query's own position."""

    def wrong(attention: Any, *args: Any, window: int | None = None) -> Any:
        return attention(*args, window=window and window + 1)

    return _on_ops("attention", wrong)


def gqa_wrong_head_mapping() -> Seeded:
    """Query heads take the kv heads in turn, h % Hkv, and not in groups, h // (H / Hkv)."""

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> F32:
        order = np.argsort(np.arange(q.shape[1]) % k.shape[1], kind="stable")
        out = np.empty_like(q)
        out[:, order] = attention(np.ascontiguousarray(q[:, order]), k, v, positions, **limits)
        return out

    return _on_ops("attention", wrong)


def bias_dropped() -> Seeded:
    """Biases of Q, K and V are not added."""

    def wrong(add_bias: Any, x: F32, bias: F32) -> Any:
        return add_bias(x, np.zeros_like(bias))

    return _on_ops("add_bias", wrong)


def head_norm_dropped() -> Seeded:
    """Heads of Q and K are rotated as the products leave them."""
    return _seeded((Decoder, "_head_norm", lambda _, __, x, ___: x))


def residual_dropped() -> Seeded:
    """A block replaces its input, and is not added to it."""

    def wrong(add: Any, x: F32, y: F32) -> Any:
        return add(np.zeros_like(x), y)

    return _on_ops("add", wrong)


def norm_epsilon() -> Seeded:
    """Epsilon is 0.1 too large."""

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> Any:
        return rms_norm(x, weight, eps=eps + 0.1)

    return _on_ops("rms_norm", wrong)


def norm_no_weight() -> Seeded:
    """Rows are normalised and not scaled."""

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> Any:
        return rms_norm(x, np.ones_like(weight), eps=eps)

    return _on_ops("rms_norm", wrong)


def swiglu_gate_up_swapped() -> Seeded:
    """The gate is multiplied, the other half is gated."""

    def wrong(swiglu: Any, gate: F32, up: F32) -> Any:
        return swiglu(up, gate)

    return _on_ops("swiglu", wrong)


def swiglu_no_sigmoid() -> Seeded:
    """The gate is used as it is."""

    def wrong(swiglu: Any, gate: F32, up: F32) -> F32:
        del swiglu
        return np.multiply(gate, up)

    return _on_ops("swiglu", wrong)


def noise(relative: float = 1e-3) -> Seeded:
    """Each product of a matmul is off by a random share of it, another one at each call.

    Args:
        relative: standard deviation of the share.
    """
    rng = np.random.default_rng(0)

    def wrong(matmul: Any, x: F32, weight: Weight) -> Any:
        out = matmul(x, weight)
        return out * (1 + np.float32(relative) * rng.standard_normal(out.shape, dtype=np.float32))

    return _on_ops("matmul", wrong)


# Cache.


def kv_cache_not_reset() -> Seeded:
    """The next answer sees the conversation before it."""

    def wrong(reset: Any, cache: kv_cache.KvCache) -> None:
        del reset, cache

    return _seeded((kv_cache.KvCache, "reset", wrong))


def kv_cache_off_by_one() -> Seeded:
    """New keys and values are written one slot early, over the last token before them."""

    def wrong(write: Any, cache: kv_cache.KvCache, layer: int, start: int, k: F32, v: F32) -> None:
        write(cache, layer, max(start - 1, 0), k, v)

    return _seeded((kv_cache.KvCache, "_write", wrong))


# Sampling and generation.


def _on_candidates(**changed: Any) -> Seeded:
    def wrong(candidates: Any, logits: F32, params: Sampling) -> Any:
        return candidates(logits, replace(params, **changed))

    return _seeded((sampling, "candidates", wrong))


def temperature_ignored() -> Seeded:
    """Every temperature above 0 is 1."""
    return _on_candidates(temperature=1.0)


def top_k_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(top_k=0)


def top_p_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(top_p=1.0)


def min_p_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(min_p=0.0)


def seed_ignored() -> Seeded:
    """Each generation has random numbers of its own."""
    fresh = itertools.count(1_000_000)

    def wrong(generator: Any, params: Sampling) -> Any:
        return generator(replace(params, seed=next(fresh)))

    return _seeded((sampling, "generator", wrong))


def eos_ignored() -> Seeded:
    """End tokens do not end an answer."""

    def wrong(is_end: Any, token_id: int, end_ids: Collection[int]) -> bool:
        del is_end, token_id, end_ids
        return False

    return _seeded((generate, "is_end", wrong))


def output_cut_at_16_tokens() -> Seeded:
    """Every answer ends after 16 tokens, so long ones that begin alike look equal."""

    def wrong(generate_: Any, *args: Any, max_tokens: int, **kwargs: Any) -> Any:
        return generate_(*args, max_tokens=min(max_tokens, 16), **kwargs)

    return _seeded((generate, "generate", wrong))


def prompt_ignored() -> Seeded:
    """A model answers every prompt as it answered the first."""
    first: WeakKeyDictionary[llm.Llm, list[int]] = WeakKeyDictionary()

    def wrong(prompt_ids: Any, model: llm.Llm, *args: Any, **kwargs: Any) -> list[int]:
        found: list[int] = prompt_ids(model, *args, **kwargs)
        return list(first.setdefault(model, found))

    return _seeded((llm.Llm, "prompt_ids", wrong))


# Text.


def tokenizer_merges_dropped() -> Seeded:
    """No merge is applied: single bytes."""

    def wrong(build: Any, vocabulary: Vocabulary) -> Any:
        return build(replace(vocabulary, merges=()))

    return _seeded((tokenizer, "build_bpe", wrong))


def special_tokens_as_text() -> Seeded:
    """Control tokens of the template are split into letters."""

    def wrong(encode: Any, self: Tokenizer, text: str, *, special: bool) -> Any:
        del special
        return encode(self, text, special=False)

    return _seeded((Tokenizer, "encode", wrong))


def template_without_generation_prompt() -> Seeded:
    """The prompt ends before the assistant's turn is opened."""

    def wrong(
        render: Any,
        template: chat.ChatTemplate,
        messages: Sequence[chat.Message],
        add_generation_prompt: bool = True,
    ) -> Any:
        del add_generation_prompt
        return render(template, messages, False)

    return _seeded((chat.ChatTemplate, "render", wrong))


def template_drops_system() -> Seeded:
    """System messages are left out."""

    def wrong(render: Any, template: chat.ChatTemplate, messages: Sequence[chat.Message], *args: Any, **kw: Any) -> Any:
        return render(template, [message for message in messages if message["role"] != "system"], *args, **kw)

    return _seeded((chat.ChatTemplate, "render", wrong))


ALL: tuple[Callable[[], Seeded], ...] = (
    bias_dropped,
    causal_mask_off_by_one,
    eos_ignored,
    gguf_dims_reversed,
    gguf_reader_wrong_offset,
    gqa_wrong_head_mapping,
    head_norm_dropped,
    kv_cache_not_reset,
    kv_cache_off_by_one,
    min_p_ignored,
    missing_attention_scale,
    noise,
    norm_epsilon,
    norm_no_weight,
    output_cut_at_16_tokens,
    prompt_ignored,
    q4k_min_sign,
    q4k_nibble_swap,
    q4k_scale_high_bits_lost,
    q6k_high_bits_lost,
    q6k_scale_unsigned,
    residual_dropped,
    rope_magnitude_ignored,
    rope_on_q_only,
    rope_position_off_by_one,
    rope_scaling_ignored,
    rope_theta_off,
    rope_wrong_pairing,
    seed_ignored,
    special_tokens_as_text,
    swiglu_gate_up_swapped,
    swiglu_no_sigmoid,
    temperature_ignored,
    template_drops_system,
    template_without_generation_prompt,
    tokenizer_merges_dropped,
    top_k_ignored,
    top_p_ignored,
    window_off_by_one,
)
"""Every fault, sorted by name."""
