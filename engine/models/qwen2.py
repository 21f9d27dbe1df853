"""qwen2: pre-norm decoder with grouped-query attention, biases on Q, K and V, NeoX rotary pairs and SwiGLU.

    x = embedding[ids]
    per layer:  a = rms_norm(x);  q, k, v = a Wq' + bq, a Wk' + bk, a Wv' + bv;  q, k = rope(q), rope(k)
                x = x + attention(q, k, v) Wo'
                f = rms_norm(x);  x = x + swiglu(f Wgate', f Wup') Wdown'
    logits = rms_norm(x) Woutput'                      Woutput is token_embd where the file has no output.weight

GGUF keys under `qwen2.`: block_count, context_length, embedding_length, feed_forward_length, attention.head_count,
attention.head_count_kv, attention.layer_norm_rms_epsilon, rope.freq_base.

Source: Qwen2ForCausalLM in Hugging Face transformers; tensor names of MODEL_ARCH.QWEN2 in the gguf package.
Not here: rope scaling (YaRN, linear), sliding-window attention; a file that asks for either is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import ContextError
from engine.gguf.reader import GgufFile
from engine.kv_cache import KvCache
from engine.models.hyperparameters import Hyperparameters
from engine.models.tensors import TensorTable
from engine.ops import fused
from engine.ops.protocol import F32, I64, Ops, Weight
from engine.trace import Tap

ARCHITECTURE = "qwen2"


@dataclass(frozen=True, slots=True)
class Qwen2Config:
    """Sizes of one model; names as in Hugging Face transformers."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    rope_theta: float
    rms_norm_eps: float

    @property
    def architecture(self) -> str:
        return ARCHITECTURE

    @classmethod
    def from_gguf(cls, file: GgufFile) -> Qwen2Config:
        """Read and cross-check the metadata; the vocabulary's size is the number of embedding rows.

        Raises:
            ModelError: a size that no model has, sizes that contradict each other or the tensors present, or a
                feature that is not supported.
        """
        keys = Hyperparameters(file, ARCHITECTURE)
        tensors = TensorTable(file)
        hidden_size = keys.integer("embedding_length")
        num_heads = keys.integer("attention.head_count", code="M02")
        num_kv_heads = keys.integer("attention.head_count_kv", num_heads, code="M02")
        if num_heads % num_kv_heads:
            raise keys.error(
                "M02", f"qwen2.attention.head_count is {num_heads}, must be a multiple of head_count_kv, {num_kv_heads}"
            )
        if "attention.key_length" not in keys and hidden_size % num_heads:
            raise keys.error(
                "M02", f"qwen2.embedding_length is {hidden_size}, must be a multiple of head_count, {num_heads}"
            )
        head_dim = keys.integer("attention.key_length", hidden_size // num_heads)
        if head_dim % 2:
            raise keys.error("M02", f"head dimension is {head_dim}, must be even for rotary pairs")
        for key in ("attention.value_length", "rope.dimension_count"):
            if (found := keys.integer(key, head_dim)) != head_dim:
                raise keys.error("M02", f"qwen2.{key} is {found}, supported is only the head dimension, {head_dim}")
        if (scaling := keys.text("rope.scaling.type", "none")) != "none":
            raise keys.error("K12", f"qwen2.rope.scaling.type is {scaling!r}; supported: 'none'")
        if "attention.sliding_window" in keys:
            raise keys.error("K12", "qwen2.attention.sliding_window is set; supported is only full attention")
        num_layers = keys.integer("block_count", code="M01")
        if num_layers != (present := tensors.layers_present()):
            raise keys.error("M01", f"qwen2.block_count says {num_layers}, tensors exist for {present}")
        embedding = tensors.shape("token_embd.weight")
        if len(embedding) != 2 or embedding[1] != hidden_size:
            raise keys.error(
                "M03", f"qwen2.embedding_length says {hidden_size}, the shape of 'token_embd.weight' is {embedding}"
            )
        return cls(
            hidden_size=hidden_size,
            intermediate_size=keys.integer("feed_forward_length"),
            num_layers=num_layers,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            vocab_size=embedding[0],
            context_length=keys.integer("context_length"),
            rope_theta=keys.number("rope.freq_base", 10_000.0),
            rms_norm_eps=keys.number("attention.layer_norm_rms_epsilon"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    attn_norm: F32
    attn_q: Weight
    attn_k: Weight
    attn_v: Weight
    attn_q_bias: F32
    attn_k_bias: F32
    attn_v_bias: F32
    attn_output: Weight
    ffn_norm: F32
    ffn_gate: Weight
    ffn_up: Weight
    ffn_down: Weight


class Qwen2:
    """One loaded model: weights as they lie in the file, arithmetic by `ops`."""

    def __init__(self, file: GgufFile, ops: Ops) -> None:
        """Check that every tensor is there with its shape.

        Raises:
            ModelError: a tensor is missing, has another shape or a type this engine cannot run.
        """
        self.config = config = Qwen2Config.from_gguf(file)
        self.ops = ops
        tensors = TensorTable(file)
        embedding_shape = (config.vocab_size, config.hidden_size)
        self._embedding = tensors.matrix("token_embd.weight", embedding_shape)
        self._layers = [_layer(tensors, config, number) for number in range(config.num_layers)]
        self._output_norm = tensors.vector("output_norm.weight", config.hidden_size)
        self.tied = "output.weight" not in tensors
        self._output = self._embedding if self.tied else tensors.matrix("output.weight", embedding_shape)
        self.unused_tensors = tensors.unused

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
        ops, config = self.ops, self.config
        ids = np.asarray(token_ids, dtype=np.int64)
        if ids.size == 0:
            raise ContextError("no tokens to run; a forward needs at least one")
        if kv_cache.length + ids.size > kv_cache.max_positions:
            raise ContextError(
                f"{kv_cache.length} cached and {ids.size} new tokens exceed the context of {kv_cache.max_positions}"
            )
        positions = np.arange(kv_cache.length, kv_cache.length + ids.size, dtype=np.int64)
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
        tokens = x.shape[0]
        normed = ops.rms_norm(x, layer.attn_norm, eps=config.rms_norm_eps)
        q, k, v = fused.multiply_all(ops, normed, (layer.attn_q, layer.attn_k, layer.attn_v))
        q_bias, k_bias = ops.add_bias(q, layer.attn_q_bias), ops.add_bias(k, layer.attn_k_bias)
        v_bias = ops.add_bias(v, layer.attn_v_bias)
        q_heads = q_bias.reshape(tokens, config.num_heads, config.head_dim)
        k_heads = k_bias.reshape(tokens, config.num_kv_heads, config.head_dim)
        v_heads = v_bias.reshape(tokens, config.num_kv_heads, config.head_dim)
        q_rope, k_rope = fused.rope_append(
            ops, q_heads, k_heads, v_heads, positions, kv_cache, number, theta=config.rope_theta
        )
        keys, values = kv_cache.view(number)
        attn_out = ops.attention(q_rope, keys, values, positions).reshape(tokens, config.num_heads * config.head_dim)
        attn_proj, residual = fused.add_product(ops, x, attn_out, layer.attn_output)
        if tap:
            for name, array in (
                ("attn_norm", normed),
                ("q", q),
                ("k", k),
                ("v", v),
                ("q_bias", q_bias),
                ("k_bias", k_bias),
                ("v_bias", v_bias),
                ("q_rope", q_rope),
                ("k_rope", k_rope),
                ("attn_out", attn_out),
                ("attn_proj", attn_proj),
                ("attn_residual", residual),
            ):
                tap(name, number, array)
        return residual

    def _ffn_block(self, x: F32, layer: _Layer, number: int, tap: Tap | None) -> F32:
        ops = self.ops
        normed = ops.rms_norm(x, layer.ffn_norm, eps=self.config.rms_norm_eps)
        gate, up, activated = fused.gated_product(ops, normed, layer.ffn_gate, layer.ffn_up)
        down, residual = fused.add_product(ops, x, activated, layer.ffn_down)
        if tap:
            for name, array in (
                ("ffn_norm", normed),
                ("gate", gate),
                ("up", up),
                ("swiglu", activated),
                ("down", down),
                ("residual", residual),
            ):
                tap(name, number, array)
        return residual


def _layer(tensors: TensorTable, config: Qwen2Config, number: int) -> _Layer:
    hidden, ffn = config.hidden_size, config.intermediate_size
    q_size, kv_size = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    prefix = f"blk.{number}."
    return _Layer(
        attn_norm=tensors.vector(f"{prefix}attn_norm.weight", hidden),
        attn_q=tensors.matrix(f"{prefix}attn_q.weight", (q_size, hidden)),
        attn_k=tensors.matrix(f"{prefix}attn_k.weight", (kv_size, hidden)),
        attn_v=tensors.matrix(f"{prefix}attn_v.weight", (kv_size, hidden)),
        attn_q_bias=tensors.vector(f"{prefix}attn_q.bias", q_size),
        attn_k_bias=tensors.vector(f"{prefix}attn_k.bias", kv_size),
        attn_v_bias=tensors.vector(f"{prefix}attn_v.bias", kv_size),
        attn_output=tensors.matrix(f"{prefix}attn_output.weight", (hidden, q_size)),
        ffn_norm=tensors.vector(f"{prefix}ffn_norm.weight", hidden),
        ffn_gate=tensors.matrix(f"{prefix}ffn_gate.weight", (ffn, hidden)),
        ffn_up=tensors.matrix(f"{prefix}ffn_up.weight", (ffn, hidden)),
        ffn_down=tensors.matrix(f"{prefix}ffn_down.weight", (hidden, ffn)),
    )
