"""The forward that qwen2, llama and qwen3 share: pre-norm decoder with grouped-query attention and SwiGLU.

    x = embedding[ids]
    per layer:  a = rms_norm(x);  q, k, v = a Wq' + bq, a Wk' + bk, a Wv' + bv
                q, k = rms_norm per head, where the architecture has it
                x = x + attention(rope(q), rope(k), v) Wo' + bo
                f = rms_norm(x);  x = x + swiglu(f Wgate' + bgate, f Wup' + bup) Wdown' + bdown
    logits = rms_norm(x) Woutput'                      Woutput is token_embd where the file has no output.weight

Biases are added where the file has them. What an architecture has is in its own file, sizes in `engine.models.config`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.errors import ContextError
from engine.gguf.reader import GgufFile
from engine.kv_cache import KvCache
from engine.models.config import Architecture, DecoderConfig
from engine.models.tensors import TensorTable
from engine.ops import fused, weighing
from engine.ops.protocol import F32, I64, Ops, Weight
from engine.trace import Tap, asks


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    weight: Weight
    bias: F32 | None


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    attn_norm: F32
    attn_q: _Linear
    attn_k: _Linear
    attn_v: _Linear
    attn_q_norm: F32 | None
    attn_k_norm: F32 | None
    attn_output: _Linear
    ffn_norm: F32
    ffn_gate: _Linear
    ffn_up: _Linear
    ffn_down: _Linear


class Decoder:
    """One loaded model: weights as they lie in the file, arithmetic by `ops`."""

    architecture: ClassVar[Architecture]

    def __init__(self, file: GgufFile, ops: Ops) -> None:
        """Check that every tensor is there with its shape.

        Raises:
            ModelError: a tensor is missing, has another shape or a type this engine cannot run.
        """
        self.config = config = DecoderConfig.from_gguf(file, self.architecture)
        self.ops = ops
        tensors = TensorTable(file)
        embedding_shape = (config.vocab_size, config.hidden_size)
        self._embedding = tensors.matrix("token_embd.weight", embedding_shape)
        self._layers = [_layer(tensors, config, self.architecture, number) for number in range(config.num_layers)]
        self._output_norm = tensors.vector("output_norm.weight", config.hidden_size)
        self.tied = "output.weight" not in tensors
        self._output = self._embedding if self.tied else tensors.matrix("output.weight", embedding_shape)
        self.unused_tensors = tuple(name for name in tensors.unused if name != "rope_freqs.weight")

    def new_cache(self, max_positions: int | None = None) -> KvCache:
        """An empty cache for this model, for at most `max_positions` (default: the context length)."""
        config = self.config
        return KvCache(config.num_layers, config.num_kv_heads, config.head_dim, max_positions or config.context_length)

    def forward(
        self,
        token_ids: Sequence[int] | I64,
        kv_cache: KvCache,
        *,
        tap: Tap | None = None,
        last_only: bool = False,
    ) -> F32:
        """Run T new tokens that follow those in the cache, and add them to it.

        Args:
            token_ids: (T,), T >= 1.
            tap: sees every named intermediate of `engine.trace`; the result is bitwise the same with and without it.
            last_only: compute the logits of the last token alone.

        Returns:
            (T, V), or (1, V) with last_only.

        Raises:
            ContextError: no tokens, or more than the cache has room for.
            ShapeError: a token id outside the vocabulary.
        """
        ids = np.array(token_ids, dtype=np.int64)
        if ids.size == 0:
            raise ContextError("no tokens to run; a forward needs at least one")
        if kv_cache.length + ids.size > kv_cache.max_positions:
            raise ContextError(
                f"{kv_cache.length} cached and {ids.size} new tokens exceed the context of {kv_cache.max_positions}"
            )
        positions = np.arange(kv_cache.length, kv_cache.length + ids.size, dtype=np.int64)
        # what overflows shows in the logits, and who reads those says so
        with np.errstate(over="ignore", invalid="ignore"):
            if ids.size == 1 and tap is None:
                return fused.one_token(self.ops, self._run, ids, positions, kv_cache)
            return self._run(ids, positions, kv_cache, tap=tap, last_only=last_only)

    def _run(
        self, ids: I64, positions: I64, kv_cache: KvCache, *, tap: Tap | None = None, last_only: bool = False
    ) -> F32:
        ops, config = self.ops, self.config
        x = ops.embedding(self._embedding, ids)
        if tap:
            tap("embedding", None, x)
        for number, layer in enumerate(self._layers):
            x = self._attention_block(x, layer, number, positions, kv_cache, tap)
            x = self._ffn_block(x, layer, number, tap)
        if last_only:
            x = x[-1:]
        x = ops.rms_norm(x, self._output_norm, eps=config.rms_norm_eps)
        if tap:
            tap("final_norm", None, x)
        logits = ops.matmul(x, self._output)
        if tap:
            tap("logits", None, logits)
        return logits

    def _attention_block(
        self, x: F32, layer: _Layer, number: int, positions: I64, kv_cache: KvCache, tap: Tap | None
    ) -> F32:
        ops, config = self.ops, self.config
        tokens, size = x.shape[0], config.head_dim
        normed = ops.rms_norm(x, layer.attn_norm, eps=config.rms_norm_eps)
        linear = (layer.attn_q, layer.attn_k, layer.attn_v)
        q, k, v = fused.multiply_all(ops, normed, [part.weight for part in linear])
        q_bias, k_bias, v_bias = (self._biased(y, part) for y, part in zip((q, k, v), linear, strict=True))
        q_norm = self._head_norm(q_bias, layer.attn_q_norm)
        k_norm = self._head_norm(k_bias, layer.attn_k_norm)
        q_rope, k_rope = fused.rope_append(
            ops,
            q_norm.reshape(tokens, config.num_heads, size),
            k_norm.reshape(tokens, config.num_kv_heads, size),
            v_bias.reshape(tokens, config.num_kv_heads, size),
            positions,
            kv_cache,
            number,
            theta=config.rope_theta,
            rotary=config.rotary,
        )
        keys, values = kv_cache.view(number)
        window = config.windows[number]
        limits: dict[str, Any] = {} if window is None else {"window": window}
        heads = ops.attention(q_rope, keys, values, positions, **limits)
        attn_out = heads.reshape(tokens, config.num_heads * size)
        attn_proj, residual = self._add_linear(x, attn_out, layer.attn_output)
        if tap:
            for name, array in (
                ("attn_norm", normed),
                ("q", q),
                ("k", k),
                ("v", v),
                ("q_bias", q_bias),
                ("k_bias", k_bias),
                ("v_bias", v_bias),
                ("q_norm", q_norm),
                ("k_norm", k_norm),
                ("q_rope", q_rope),
                ("k_rope", k_rope),
                ("attn_out", attn_out),
                ("attn_proj", attn_proj),
                ("attn_residual", residual),
            ):
                tap(name, number, array)
            if asks(tap, "scores"):
                tap("scores", number, weighing.scores(ops, q_rope, keys, positions, window=window))
        return residual

    def _ffn_block(self, x: F32, layer: _Layer, number: int, tap: Tap | None) -> F32:
        ops = self.ops
        normed = ops.rms_norm(x, layer.ffn_norm, eps=self.config.rms_norm_eps)
        if layer.ffn_gate.bias is None and layer.ffn_up.bias is None:
            gate, up, activated = fused.gated_product(ops, normed, layer.ffn_gate.weight, layer.ffn_up.weight)
        else:
            gate, up = (self._biased(ops.matmul(normed, part.weight), part) for part in (layer.ffn_gate, layer.ffn_up))
            activated = ops.swiglu(gate, up)
        if tap:
            tap("ffn_norm", number, normed)
            tap("gate", number, gate)
            tap("up", number, up)
        del gate, up  # of a long prompt the largest arrays there are
        down, residual = self._add_linear(x, activated, layer.ffn_down)
        if tap:
            tap("swiglu", number, activated)
            tap("down", number, down)
            tap("residual", number, residual)
        return residual

    def _biased(self, x: F32, linear: _Linear) -> F32:
        return x if linear.bias is None else self.ops.add_bias(x, linear.bias)

    def _head_norm(self, x: F32, weight: F32 | None) -> F32:
        """Each head of x (T, H * Dh) normalised by itself."""
        if weight is None:
            return x
        heads = x.reshape(x.shape[0] * x.shape[1] // weight.size, weight.size)
        return self.ops.rms_norm(heads, weight, eps=self.config.rms_norm_eps).reshape(*x.shape)

    def _add_linear(self, residual: F32, x: F32, linear: _Linear) -> tuple[F32, F32]:
        """The layer's product with its bias, and that plus the residual."""
        if linear.bias is None:
            return fused.add_product(self.ops, residual, x, linear.weight)
        product = self._biased(self.ops.matmul(x, linear.weight), linear)
        return product, self.ops.add(residual, product)


def _layer(tensors: TensorTable, config: DecoderConfig, architecture: Architecture, number: int) -> _Layer:
    hidden, ffn, head_dim = config.hidden_size, config.intermediate_size, config.head_dim
    q_size, kv_size = config.num_heads * head_dim, config.num_kv_heads * head_dim
    prefix = f"blk.{number}."

    def vector(name: str, size: int, *, needed: bool) -> F32 | None:
        name = prefix + name
        return tensors.vector(name, size) if needed or name in tensors else None

    def linear(name: str, rows: int, columns: int, *, biased: bool = False) -> _Linear:
        weight = tensors.matrix(f"{prefix}{name}.weight", (rows, columns))
        return _Linear(weight, vector(f"{name}.bias", rows, needed=biased))

    def norm(name: str) -> F32 | None:
        return tensors.vector(f"{prefix}{name}.weight", head_dim) if architecture.has_qk_norm else None

    biased = architecture.has_qkv_bias
    return _Layer(
        attn_norm=tensors.vector(f"{prefix}attn_norm.weight", hidden),
        attn_q=linear("attn_q", q_size, hidden, biased=biased),
        attn_k=linear("attn_k", kv_size, hidden, biased=biased),
        attn_v=linear("attn_v", kv_size, hidden, biased=biased),
        attn_q_norm=norm("attn_q_norm"),
        attn_k_norm=norm("attn_k_norm"),
        attn_output=linear("attn_output", hidden, q_size),
        ffn_norm=tensors.vector(f"{prefix}ffn_norm.weight", hidden),
        ffn_gate=linear("ffn_gate", ffn, hidden),
        ffn_up=linear("ffn_up", ffn, hidden),
        ffn_down=linear("ffn_down", hidden, ffn),
    )
