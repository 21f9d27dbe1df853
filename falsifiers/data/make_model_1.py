"""Answers and logits of the bundled model by transformers: `python falsifiers/data/make_model_1.py`.

The weights of engine/assets/teacher.gguf are decoded by the `gguf` package and put into Hugging Face's
Qwen2ForCausalLM, in float64; each question is answered greedily there. Make it again whenever the model changes.

Writes model_1.npz: sha256 of the model's bytes (32,) uint8; per question n: ids_n (T,) int64, prompt and answer with
its end token; prompt_n the prompt's length; at_n (3,) positions and logits_n (3, V) float32 there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

FOLDER = Path(__file__).parent
MODEL = FOLDER.parents[1] / "engine" / "assets" / "teacher.gguf"
QUESTIONS = (
    "What is 2+2?",
    "What is the capital city of France?",
    "Write a Python function to compute the nth Fibonacci number.",
)
MAX_TOKENS = 256
NAMES = {
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
FIXED = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def hf_name(name: str) -> str:
    if name in FIXED:
        return FIXED[name]
    _, layer, module, part = name.split(".")
    return f"model.layers.{layer}.{NAMES[module]}.{part}"


def build(reader: Any) -> Any:
    def value(key: str) -> Any:
        return reader.fields[f"qwen2.{key}"].contents()

    state = {}
    for tensor in reader.tensors:
        weights = gguf.dequantize(tensor.data, tensor.tensor_type)
        state[hf_name(tensor.name)] = torch.from_numpy(np.array(weights, dtype=np.float64))
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(state["model.embed_tokens.weight"]),
            hidden_size=value("embedding_length"),
            intermediate_size=value("feed_forward_length"),
            num_hidden_layers=value("block_count"),
            num_attention_heads=value("attention.head_count"),
            num_key_value_heads=value("attention.head_count_kv"),
            max_position_embeddings=value("context_length"),
            rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
            rope_parameters={"rope_type": "default", "rope_theta": value("rope.freq_base")},
            tie_word_embeddings="lm_head.weight" not in state,
            attn_implementation="eager",
        )
    ).double()
    model.load_state_dict(state, strict=True)
    return model.eval()


def prompt_ids(reader: Any, question: str) -> list[int]:
    """The rendered chat template, tokenised by transformers over the vocabulary in the file."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == 3]
    ids = {token: index for index, token in enumerate(tokens)}
    vocabulary = {token: index for token, index in ids.items() if token not in control}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=merges, bos_token=None, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in control if t != "<|im_end|>"]})
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        chat_template=reader.fields["tokenizer.chat_template"].contents(),
        tokenize=False,
        add_generation_prompt=True,
    )
    return [ids[token] for token in tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).tokens]


def main() -> None:
    reader = gguf.GGUFReader(MODEL)
    model, end = build(reader), reader.fields["tokenizer.ggml.eos_token_id"].contents()
    arrays: dict[str, Any] = {"sha256": np.frombuffer(hashlib.sha256(MODEL.read_bytes()).digest(), np.uint8)}
    for number, question in enumerate(QUESTIONS):
        prompt = prompt_ids(reader, question)
        ids = list(prompt)
        with torch.no_grad():
            while len(ids) < len(prompt) + MAX_TOKENS and (len(ids) == len(prompt) or ids[-1] != end):
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            logits = model(torch.tensor([ids])).logits[0].numpy()
        at = np.array([0, len(prompt) - 1, len(ids) - 2])
        arrays |= {f"ids_{number}": np.array(ids), f"prompt_{number}": np.array(len(prompt)), f"at_{number}": at}
        arrays[f"logits_{number}"] = logits[at].astype(np.float32)
    path = FOLDER / "model_1.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())  # noqa: T201 - a script


if __name__ == "__main__":
    main()
