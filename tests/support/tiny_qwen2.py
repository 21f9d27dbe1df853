"""Tiny qwen2 models with random weights, written as GGUF by the `gguf` package: an exporter that is not ours.

The same tensors can be loaded into Hugging Face's Qwen2ForCausalLM, the independent judge of the forward.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from engine import quant
from engine.gguf.types import GgmlType

Tensors = dict[str, npt.NDArray[np.float32]]

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TRAINING_TEXT = [
    "What is 2+2? 2 + 2 equals 4. I'll say it's what you're after, and they've said so; we'd agree, I'm sure.",
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
    "Write a Python function to compute the nth Fibonacci number. Hello! How are you? Tell me a story about Rome.",
    "user assistant system user assistant system what when where which function return returns value values",
]

# Taken from the published Qwen2 tokenizer definition; the engine has its own copy in engine.tokenizer.pretokenizers.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of a tiny model; the vocabulary's size follows from `tiny_tokenizer`."""

    hidden: int = 32
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 48
    context: int = 128
    theta: float = 10000.0
    eps: float = 1e-6
    tied: bool = False

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


@cache
def tiny_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer of about 400 tokens, trained here, with ChatML's control tokens at the end."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    return tokenizer


def vocabulary() -> tuple[list[str], list[int], list[str]]:
    """Tokens by id, their GGUF types, and merges as 'left right'."""
    tokenizer = tiny_tokenizer()
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=lambda token: ids[token])
    types = [3 if token in CONTROL else 1 for token in tokens]
    merges = [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    return tokens, types, merges


def random_tensors(shape: Shape, seed: int = 0) -> Tensors:
    """Random weights under their GGUF names, scaled so that logits are of order 1 and no part of the model is idle."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, cols: int) -> npt.NDArray[np.float32]:
        values = rng.standard_normal((rows, cols), dtype=np.float32)
        return values * np.float32(1.5 / np.sqrt(cols))

    def vector(size: int, mean: float, spread: float) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = (mean + spread * rng.standard_normal(size)).astype(np.float32)
        return values

    vocab = len(vocabulary()[0])
    q_size, kv_size = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    tensors: Tensors = {"token_embd.weight": matrix(vocab, shape.hidden) * 4}
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        for name, rows, cols in (
            ("attn_q", q_size, shape.hidden),
            ("attn_k", kv_size, shape.hidden),
            ("attn_v", kv_size, shape.hidden),
            ("attn_output", shape.hidden, q_size),
            ("ffn_gate", shape.ffn, shape.hidden),
            ("ffn_up", shape.ffn, shape.hidden),
            ("ffn_down", shape.hidden, shape.ffn),
        ):
            tensors[f"{prefix}{name}.weight"] = matrix(rows, cols)
        for name, size in (("attn_q", q_size), ("attn_k", kv_size), ("attn_v", kv_size)):
            tensors[f"{prefix}{name}.bias"] = vector(size, 0, 0.5)
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"{prefix}{name}.weight"] = vector(shape.hidden, 1, 0.2)
    tensors["output_norm.weight"] = vector(shape.hidden, 1, 0.2)
    if not shape.tied:
        tensors["output.weight"] = matrix(vocab, shape.hidden)
    return tensors


def metadata(shape: Shape) -> dict[str, Any]:
    """What the file says beside the tensors, under GGUF keys; Python int is u32, float f32, list of str strings."""
    tokens, types, merges = vocabulary()
    return {
        "general.name": "tiny",
        "qwen2.block_count": shape.layers,
        "qwen2.context_length": shape.context,
        "qwen2.embedding_length": shape.hidden,
        "qwen2.feed_forward_length": shape.ffn,
        "qwen2.attention.head_count": shape.heads,
        "qwen2.attention.head_count_kv": shape.kv_heads,
        "qwen2.attention.layer_norm_rms_epsilon": shape.eps,
        "qwen2.rope.freq_base": shape.theta,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": tokens.index("<|im_end|>"),
        "tokenizer.ggml.bos_token_id": tokens.index("<|endoftext|>"),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML,
    }


def write_gguf(
    path: Path,
    tensors: Mapping[str, npt.NDArray[np.float32]],
    values: Mapping[str, Any],
    *,
    architecture: str = "qwen2",
    type_of: Callable[[str], GgmlType] = lambda _: GgmlType.F32,
    tensors_per_file: int = 0,
    encode: Callable[[GgmlType, npt.NDArray[np.float32]], npt.NDArray[Any]] | None = None,
) -> Path:
    """Write a model file; `type_of` gives the type that each tensor is stored as, `encode` packs it (`quant.encode`).

    With `tensors_per_file` it becomes a set of files beside `path`, which is then not written itself.
    """
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=tensors_per_file)
    for key, value in values.items():
        _add(writer, key, value)
    for name, tensor in tensors.items():
        kind = type_of(name)
        if kind == GgmlType.F32:
            writer.add_tensor(name, np.ascontiguousarray(tensor))
        else:
            raw = (encode or quant.encode)(kind, np.ascontiguousarray(tensor))
            writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType(kind.value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def write_tiny(path: Path, shape: Shape | None = None, *, seed: int = 0, **changed: Any) -> Path:
    """A complete tiny model; keyword arguments replace metadata ('.' written as '__'), None removes a key."""
    shape = shape or Shape()
    values = metadata(shape)
    for name, value in changed.items():
        key = name.replace("__", ".")
        if value is None:
            del values[key]
        else:
            values[key] = value
    return write_gguf(path, random_tensors(shape, seed), values)


def q4_k_m(name: str) -> GgmlType:
    """Types in the manner of llama.cpp's Q4_K_M mix; sizes must be multiples of 256."""
    if name.endswith(("norm.weight", ".bias")):
        return GgmlType.F32
    more_bits = name == "output.weight" or "attn_v" in name or "ffn_down" in name
    return GgmlType.Q6_K if more_bits else GgmlType.Q4_K


def write_q4_k_m(path: Path, shape: Shape) -> Path:
    """A random model in that mix."""
    return write_gguf(path, random_tensors(shape, 0), metadata(shape), type_of=q4_k_m)


_HF_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def hf_model(shape: Shape, tensors: Mapping[str, npt.NDArray[np.float32]]) -> Any:
    """Hugging Face's Qwen2ForCausalLM in float32 with these weights and eager attention."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=tensors["token_embd.weight"].shape[0],
            hidden_size=shape.hidden,
            intermediate_size=shape.ffn,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.context,
            rms_norm_eps=shape.eps,
            rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
            tie_word_embeddings=shape.tied,
            attn_implementation="eager",
        )
    )
    state = {
        "model.embed_tokens.weight": tensors["token_embd.weight"],
        "model.norm.weight": tensors["output_norm.weight"],
        "lm_head.weight": tensors["token_embd.weight" if shape.tied else "output.weight"],
    }
    for layer in range(shape.layers):
        for ours, theirs in _HF_NAMES.items():
            for part in ("weight", "bias"):
                if (name := f"blk.{layer}.{ours}.{part}") in tensors:
                    state[f"model.layers.{layer}.{theirs}.{part}"] = tensors[name]
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()}, strict=True)
    return model.to(torch.float32).eval()
