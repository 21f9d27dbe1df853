"""Write the trained weights as GGUF in the Q4_K_M mix: `python -m engine.teacher.export`.

    token_embd                           Q4_K
    output                               Q6_K
    attn_v, ffn_down of chosen layers    Q6_K     first eighth, last eighth, every third between
    the other matrices                   Q4_K
    norms, biases                        F32

Source: use_more_bits and the Q4_K_M cases of llama_tensor_get_type in llama.cpp's llama-quant.cpp; key names from the
GGUF specification.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from engine import quant
from engine.gguf.types import GgmlType
from engine.teacher import vocabulary
from engine.teacher.corpus import SYSTEM
from engine.teacher.curve import write_curve
from engine.teacher.shape import TEACHER, TeacherShape

ASSETS = Path(__file__).resolve().parent.parent / "assets"
log = logging.getLogger("engine.teacher.export")

CHAT_TEMPLATE = (
    "{%- if not messages or messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\n" + SYSTEM + "<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


@dataclass(frozen=True)
class Stored:
    """A tensor as the file holds it: raw (rows, row_bytes) uint8, and the float32 values a reader will see."""

    raw: npt.NDArray[np.uint8]
    decoded: npt.NDArray[np.float32]


def more_bits(layer: int, num_layers: int) -> bool:
    """Whether the mix spends six bits on attn_v and ffn_down of this layer."""
    eighth = num_layers // 8
    return layer < eighth or layer >= 7 * num_layers // 8 or (layer - eighth) % 3 == 2


def tensor_type(name: str, num_layers: int) -> GgmlType:
    """The type of a tensor, by its GGUF name."""
    if name.endswith(("norm.weight", ".bias")):
        return GgmlType.F32
    if name == "output.weight":
        return GgmlType.Q6_K
    if name.endswith(("attn_v.weight", "ffn_down.weight")) and more_bits(int(name.split(".")[1]), num_layers):
        return GgmlType.Q6_K
    return GgmlType.Q4_K


def quantise(matrix: npt.NDArray[np.float32], kind: GgmlType) -> Stored:
    """Encode a (rows, cols) matrix as Q4_K or Q6_K."""
    raw = quant.encode(kind, np.ascontiguousarray(matrix, dtype=np.float32))
    return Stored(raw, quant.decode(kind, raw))


def write_gguf(
    path: Path, weights: dict[str, npt.NDArray[np.float32]], tokenizer: Tokenizer, shape: TeacherShape = TEACHER
) -> None:
    """Write all weights, keyed by their GGUF names; the file appears whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(partial, "qwen2")
    _write_identity(writer, shape)
    _write_tokenizer(writer, tokenizer)
    for name, values in weights.items():
        kind = tensor_type(name, shape.num_layers)
        if kind == GgmlType.F32:
            writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))
        else:
            stored = quantise(values, kind)
            writer.add_tensor(name, stored.raw, raw_dtype=gguf.GGMLQuantizationType(int(kind)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _write_identity(writer: gguf.GGUFWriter, shape: TeacherShape) -> None:
    writer.add_type("model")
    writer.add_name("pv teacher")
    writer.add_basename("teacher")
    writer.add_size_label("5.8M")
    writer.add_description("small qwen2 model trained on generated sums, facts, small talk and Python functions")
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_block_count(shape.num_layers)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocab_size)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(vocab, key=lambda token: vocab[token])
    kinds = [_token_type(token) for token in tokens]
    merges = [" ".join(pair) for pair in _merges(tokenizer)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(vocab[vocabulary.END_OF_TEXT])
    writer.add_eos_token_id(vocab[vocabulary.IM_END])
    writer.add_pad_token_id(vocab[vocabulary.END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _token_type(token: str) -> gguf.TokenType:
    if token in vocabulary.SPECIALS:
        return gguf.TokenType.CONTROL
    if token.startswith("[PAD"):
        return gguf.TokenType.UNUSED
    return gguf.TokenType.NORMAL


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(left, right) for left, right in found]


def checkpoint_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The matrices and vectors of a training checkpoint as float32 arrays."""
    import torch

    state = torch.load(path, weights_only=True, map_location="cpu")["net"]
    return {name: tensor.float().numpy() for name, tensor in state.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.teacher.export", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build/teacher"), help="folder that training wrote")
    parser.add_argument("--checkpoint", default="final.pt", help="float.pt skips the quantised phase")
    parser.add_argument("--out", type=Path, default=ASSETS / "teacher.gguf")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tokenizer = vocabulary.load_vocabulary(given.build / "tokenizer.json")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(given.out, checkpoint_weights(given.build / given.checkpoint), tokenizer)
    write_curve(given.build, given.out.parent)
    log.info("%s: %d bytes", given.out.name, given.out.stat().st_size)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
