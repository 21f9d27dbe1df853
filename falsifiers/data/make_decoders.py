"""Tiny random models of each architecture and their logits: `python falsifiers/data/make_decoders.py`.

Writes, for each of GOLDEN,
    <name>.gguf     F32 weights, written by the `gguf` package, rows of Q and K of llama as the converters lay them
    decoders.npz    <name>_ids_<i> (T,) int64 and <name>_logits_<i> (T, V) float32 of transformers' model in float64
    qkv_points.npz  of the qwen2 ones and prompt 2: <name>_<point>_<layer> (T, H * Dh) float32, the points being those
                    of engine.trace: q k v after the product, q_bias k_bias v_bias, q_rope k_rope
The judge computes in float64, so that all of a measured difference is ours. CASES has more of them, for tests.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import gguf
import numpy as np
import torch
import transformers
from transformers.models.qwen2 import modeling_qwen2

FOLDER = Path(__file__).parent
LENGTHS = (1, 2, 7, 24)
POINTS_OF = 2
"""The prompt of which Q, K and V are kept."""
CONTEXT = 64
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


@dataclass(frozen=True)
class Case:
    """A model: its class in transformers, what its configuration has beside the sizes, and what the file says then."""

    judge: str
    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    rope: dict[str, Any] = field(default_factory=lambda: {"rope_type": "default"})
    metadata: dict[str, Any] = field(default_factory=dict)
    head_dim: int = 8
    layers: int = 2
    theta: float = 10_000.0
    vocab: int = 64
    hidden: int = 32
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 40
    eps: float = 1e-6


LINEAR = {"rope_type": "linear", "factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA_3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
LINEAR_KEYS = {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}
YARN_KEYS = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16}
SLIDING = {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0}
EVERY_OTHER = ["sliding_attention", "full_attention", "sliding_attention"]
ALTERNATING = {"use_sliding_window": True, "sliding_window": 5, "layer_types": EVERY_OTHER}

GOLDEN = {
    "llama": Case("LlamaForCausalLM", "llama", layers=3, theta=500_000.0),
    "llama_3": Case("LlamaForCausalLM", "llama", {"tie_word_embeddings": True}, LLAMA_3),
    "mistral": Case("MistralForCausalLM", "llama", {"sliding_window": 5}, metadata={"attention.sliding_window": 5}),
    "qwen3": Case("Qwen3ForCausalLM", "qwen3", head_dim=12),
    "qwen3_yarn": Case(
        "Qwen3ForCausalLM", "qwen3", {**ALTERNATING, "tie_word_embeddings": True}, YARN, head_dim=16, layers=3,
        metadata={**YARN_KEYS, "attention.sliding_window": 5, "attention.sliding_window_pattern": [True, False, True]},
    ),
    "grouped": Case("Qwen2ForCausalLM", "qwen2", layers=3),
    "tied": Case(
        "Qwen2ForCausalLM", "qwen2", {"tie_word_embeddings": True}, layers=1, theta=1e6, vocab=48, hidden=24, heads=3,
        kv_heads=1, ffn=37, eps=1e-5,
    ),
}  # fmt: skip

CASES = {
    **GOLDEN,
    "llama biases": Case("LlamaForCausalLM", "llama", {"attention_bias": True, "mlp_bias": True}),
    "llama linear": Case("LlamaForCausalLM", "llama", rope=LINEAR, metadata=LINEAR_KEYS),
    "llama yarn, wide heads": Case("LlamaForCausalLM", "llama", rope=YARN, metadata=YARN_KEYS, head_dim=16),
    "qwen2 tied": Case("Qwen2ForCausalLM", "qwen2", {"tie_word_embeddings": True}),
    "qwen2 linear": Case("Qwen2ForCausalLM", "qwen2", rope=LINEAR, metadata=LINEAR_KEYS),
    "qwen2 yarn": Case("Qwen2ForCausalLM", "qwen2", rope=YARN, metadata=YARN_KEYS, theta=1e6),
    "qwen2 window": Case("Qwen2ForCausalLM", "qwen2", SLIDING, metadata={"attention.sliding_window": 5}),
    "qwen2 pattern": Case(
        "Qwen2ForCausalLM", "qwen2", ALTERNATING, layers=3,
        metadata={"attention.sliding_window": 5, "attention.sliding_window_pattern": 2},
    ),
    "qwen3 tied": Case("Qwen3ForCausalLM", "qwen3", {"tie_word_embeddings": True}, head_dim=16),
    "qwen3 linear": Case("Qwen3ForCausalLM", "qwen3", rope=LINEAR, metadata=LINEAR_KEYS, head_dim=16),
    "qwen3 window": Case("Qwen3ForCausalLM", "qwen3", SLIDING, metadata={"attention.sliding_window": 5}),
}  # fmt: skip


def build(case: Case, seed: int) -> Any:
    """transformers' model with random weights, large enough that every part of it matters to the logits."""
    torch.manual_seed(seed)
    kind = getattr(transformers, case.judge)
    config = kind.config_class(
        vocab_size=case.vocab,
        hidden_size=case.hidden,
        intermediate_size=case.ffn,
        num_hidden_layers=case.layers,
        num_attention_heads=case.heads,
        num_key_value_heads=case.kv_heads,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=case.eps,
        rope_parameters={**case.rope, "rope_theta": case.theta},
        attn_implementation="eager",
        **{"tie_word_embeddings": False, **case.options},
        **({} if case.judge == "Qwen2ForCausalLM" else {"head_dim": case.head_dim}),
    )
    model = kind(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1.0, 0.3)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.7)
            else:
                parameter.normal_(0.0, 1.8 / parameter.shape[1] ** 0.5)
    return model


def tensors(case: Case, model: Any) -> dict[str, Any]:
    """What a converter would write."""
    fixed = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    found = {}
    for name, parameter in model.named_parameters():
        values = parameter.detach().to(torch.float32).numpy()
        if name in fixed:
            found[fixed[name]] = values
            continue
        layer, _, rest = name.removeprefix("model.layers.").partition(".")
        module, _, part = rest.rpartition(".")
        if case.architecture == "llama" and NAMES[module] in ("attn_q", "attn_k"):
            values = interleaved(values, case.heads if NAMES[module] == "attn_q" else case.kv_heads)
        found[f"blk.{layer}.{NAMES[module]}.{part}"] = values
    if case.rope["rope_type"] == "llama3":
        plain = case.theta ** -(np.arange(0, case.head_dim, 2) / case.head_dim)
        found["rope_freqs.weight"] = (plain / model.model.rotary_emb.inv_freq.double().numpy()).astype(np.float32)
    return found


def interleaved(rows: Any, heads: int) -> Any:
    """Of each head's rows the first half on even places, the second half on odd ones."""
    half = rows.shape[0] // heads // 2
    return np.ascontiguousarray(rows.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(rows.shape))


def write(path: Path, case: Case, model: Any) -> Path:
    writer = gguf.GGUFWriter(path, case.architecture)
    writer.add_block_count(case.layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(case.hidden)
    writer.add_feed_forward_length(case.ffn)
    writer.add_head_count(case.heads)
    writer.add_head_count_kv(case.kv_heads)
    writer.add_key_length(case.head_dim)
    writer.add_value_length(case.head_dim)
    writer.add_rope_dimension_count(case.head_dim)
    writer.add_layer_norm_rms_eps(case.eps)
    writer.add_rope_freq_base(case.theta)
    add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}
    for key, value in case.metadata.items():
        add[type(value)](f"{case.architecture}.{key}", value)
    for name, values in tensors(case, model).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def judged(model: Any, ids: Any) -> Any:
    """Logits (T, V) of a model that was made double."""
    with torch.no_grad():
        return model(torch.as_tensor(ids)[None], use_cache=False).logits[0].numpy()


def points(model: Any, ids: Any) -> dict[str, Any]:
    """Q, K and V of a qwen2 model that was made double, `<point>_<layer>` to (T, H * Dh)."""
    found: dict[str, Any] = {}
    rotated: list[tuple[Any, Any]] = []

    def seen(name: str, layer: int) -> Any:
        def hook(module: Any, arguments: Any, output: Any) -> None:
            found[f"{name}_{layer}"] = torch.nn.functional.linear(arguments[0], module.weight)[0].numpy()
            found[f"{name}_bias_{layer}"] = output[0].numpy()

        return hook

    def turned(*arguments: Any, **options: Any) -> Any:
        rotated.append(rotate(*arguments, **options))
        return rotated[-1]

    hooks = [
        getattr(layer.self_attn, f"{name}_proj").register_forward_hook(seen(name, number))
        for number, layer in enumerate(model.model.layers)
        for name in "qkv"
    ]
    rotate = modeling_qwen2.apply_rotary_pos_emb
    with mock.patch.object(modeling_qwen2, "apply_rotary_pos_emb", turned):
        judged(model, ids)
    for hook in hooks:
        hook.remove()
    for number, pair in enumerate(rotated):
        for name, heads in zip(("q_rope", "k_rope"), pair, strict=True):
            found[f"{name}_{number}"] = heads[0].swapaxes(0, 1).flatten(1).numpy()
    return {name: values.astype(np.float32) for name, values in found.items()}


def main() -> None:
    arrays: dict[str, Any] = {}
    qkv: dict[str, Any] = {}
    written = []
    for seed, (name, case) in enumerate(GOLDEN.items()):
        model = build(case, seed)
        written.append(write(FOLDER / f"{name}.gguf", case, model))
        model.double()
        rng = np.random.default_rng(seed)
        for index, length in enumerate(LENGTHS):
            ids = rng.integers(0, case.vocab, length)
            arrays[f"{name}_ids_{index}"] = ids
            arrays[f"{name}_logits_{index}"] = judged(model, ids).astype(np.float32)
            if case.judge == "Qwen2ForCausalLM" and index == POINTS_OF:
                qkv |= {f"{name}_{point}": values for point, values in points(model, ids).items()}
    for archive, content in (("decoders.npz", arrays), ("qkv_points.npz", qkv)):
        written.append(FOLDER / archive)
        np.savez_compressed(written[-1], allow_pickle=False, **content)
    for path in written:
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())  # noqa: T201 - a script


if __name__ == "__main__":
    main()
