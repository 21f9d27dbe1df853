"""Two tiny random Qwen2 models and their logits from transformers: `python falsifiers/data/make_forward.py`.

Writes, for `grouped` (4 heads on 2 kv heads, 3 layers, own output matrix) and `tied` (3 heads on 1 kv head, theta 1e6),
    <name>.gguf     F32 weights, written by the `gguf` package
    forward.npz     <name>_ids_<i> (T,) int64 and <name>_logits_<i> (T, V) float32 of Qwen2ForCausalLM in float64
The judge computes in float64, so that all of a measured difference is ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

FOLDER = Path(__file__).parent
LENGTHS = (1, 2, 7, 24)
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    theta: float
    eps: float
    tied: bool


SHAPES = {
    "grouped": Shape(64, 32, 3, 4, 2, 40, 10000.0, 1e-6, False),
    "tied": Shape(48, 24, 1, 3, 1, 37, 1000000.0, 1e-5, True),
}


def build(shape: Shape) -> Any:
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=shape.vocab,
            hidden_size=shape.hidden,
            intermediate_size=shape.ffn,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=64,
            rms_norm_eps=shape.eps,
            rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
            tie_word_embeddings=shape.tied,
            attn_implementation="eager",
        )
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1.0, 0.3)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.7)
            else:
                # Large enough that every part of the model matters to the logits.
                parameter.normal_(0.0, 1.8 / parameter.shape[1] ** 0.5)
    return model


def gguf_name(name: str) -> str:
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in fixed:
        return fixed[name]
    if name == "lm_head.weight":
        return "output.weight"
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    module, _, part = rest.rpartition(".")
    return f"blk.{layer}.{NAMES[module]}.{part}"


def write(path: Path, shape: Shape, model: Any) -> None:
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(shape.layers)
    writer.add_context_length(64)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_freq_base(shape.theta)
    for name, parameter in model.named_parameters():
        writer.add_tensor(gguf_name(name), parameter.detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    arrays = {}
    written = []
    for seed, (name, shape) in enumerate(SHAPES.items()):
        torch.manual_seed(seed)
        model = build(shape)
        written.append(FOLDER / f"{name}.gguf")
        write(written[-1], shape, model)
        rng = np.random.default_rng(seed)
        for index, length in enumerate(LENGTHS):
            ids = rng.integers(0, shape.vocab, length)
            with torch.no_grad():
                logits = model.double()(torch.from_numpy(ids)[None]).logits[0].numpy()
            arrays[f"{name}_ids_{index}"] = ids
            arrays[f"{name}_logits_{index}"] = logits.astype(np.float32)
    written.append(FOLDER / "forward.npz")
    np.savez_compressed(written[-1], allow_pickle=False, **arrays)
    for path in written:
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())  # noqa: T201 - a script


if __name__ == "__main__":
    main()
