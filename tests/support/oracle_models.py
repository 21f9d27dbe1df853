"""Random-weight model files of each architecture and mix of types, for `make oracle`; the `gguf` package writes them.

Weights of the plain types are packed by the `gguf` package, those of K types are random bytes with scales that suit:
nothing of them comes from this engine's encoders, and every scale and every bit of a quant is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from engine import quant
from engine.gguf.types import GgmlType
from support import tiny_qwen2, vocabularies
from support.tiny_qwen2 import Shape, Tensors

TypeOf = Callable[[str], GgmlType]

SHAPE = Shape(hidden=256, layers=2, heads=4, kv_heads=2, ffn=512, context=256)

# Minimums that much larger than scales make weights of both signs.
_MEAN_QUANT = {GgmlType.Q2_K: 1.5, GgmlType.Q4_K: 7.5, GgmlType.Q5_K: 15.5}


def only(type_: GgmlType) -> TypeOf:
    """Every matrix of one type; norms and biases are F32."""
    return lambda name: GgmlType.F32 if name.endswith(("norm.weight", ".bias")) else type_


def q4_k_m_of_odd_sizes(name: str) -> GgmlType:
    """The Q4_K_M mix of rows that are no multiple of 256."""
    return {GgmlType.Q4_K: GgmlType.Q5_0, GgmlType.Q6_K: GgmlType.Q8_0}.get(kind := tiny_qwen2.q4_k_m(name), kind)


MIXES: Mapping[str, tuple[TypeOf, Shape]] = {
    **{type_.name: (only(type_), SHAPE) for type_ in quant.SUPPORTED},
    "Q4_K_M": (tiny_qwen2.q4_k_m, SHAPE),
    "Q4_K_M, tied": (tiny_qwen2.q4_k_m, replace(SHAPE, tied=True)),
    "Q4_K_M, rows of 224": (q4_k_m_of_odd_sizes, replace(SHAPE, hidden=224, ffn=416)),
}


ROPE_SCALINGS: Mapping[str, dict[str, Any]] = {
    "F32, linear": {"type": "linear", "factor": 4.0},
    "F32, yarn": {"type": "yarn", "factor": 4.0, "original_context_length": 64},
}
"""Metadata under `<architecture>.rope.scaling.`."""

ROPE_FACTORS = "F32, rope factors"
"""Llama 3's: a tensor with a divisor for each frequency."""


def cases(architecture: str) -> list[str]:
    """Names of what is written of an architecture."""
    return [*MIXES, *ROPE_SCALINGS, *([ROPE_FACTORS] if architecture == "llama" else [])]


def _qwen2(shape: Shape, seed: int) -> tuple[Tensors, dict[str, Any]]:
    return tiny_qwen2.random_tensors(shape, seed), tiny_qwen2.metadata(shape)


def _llama(shape: Shape, seed: int) -> tuple[Tensors, dict[str, Any]]:
    """No biases, and a SentencePiece vocabulary."""
    keys = vocabularies.sentencepiece()
    tensors = _without_biases(tiny_qwen2.random_tensors(shape, seed))
    rng = np.random.default_rng(seed + 1)
    for name in ("token_embd.weight", "output.weight")[: 2 - shape.tied]:
        rows = rng.standard_normal((len(keys["tokens"]), shape.hidden), dtype=np.float32)
        tensors[name] = rows * tensors[name].std()
    values = {key.replace("qwen2.", "llama."): value for key, value in tiny_qwen2.metadata(shape).items()}
    values = {key: value for key, value in values.items() if not key.startswith("tokenizer.")}
    values |= {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    values |= {"tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}
    return tensors, {**values, "llama.rope.dimension_count": shape.head_dim, "llama.vocab_size": len(keys["tokens"])}


def _qwen3(shape: Shape, seed: int) -> tuple[Tensors, dict[str, Any]]:
    """No biases, norms of each query and key head, and heads wider than hidden / heads."""
    head_dim, rng = shape.head_dim * 2, np.random.default_rng(seed + 1)
    wide = tiny_qwen2.random_tensors(replace(shape, hidden=head_dim * shape.heads), seed)
    tensors = _without_biases(tiny_qwen2.random_tensors(shape, seed))
    for layer in range(shape.layers):
        for part in ("q", "k", "v"):
            name = f"blk.{layer}.attn_{part}.weight"
            tensors[name] = wide[name][:, : shape.hidden] * np.float32(np.sqrt(2))
        name = f"blk.{layer}.attn_output.weight"
        tensors[name] = wide[name][: shape.hidden]
        for part in ("q", "k"):
            norm = 1 + 0.2 * rng.standard_normal(head_dim)
            tensors[f"blk.{layer}.attn_{part}_norm.weight"] = norm.astype(np.float32)
    values = {key.replace("qwen2.", "qwen3."): value for key, value in tiny_qwen2.metadata(shape).items()}
    return tensors, {**values, "qwen3.attention.key_length": head_dim, "qwen3.attention.value_length": head_dim}


WRITERS: Mapping[str, Callable[[Shape, int], tuple[Tensors, dict[str, Any]]]] = {
    "qwen2": _qwen2,
    "llama": _llama,
    "qwen3": _qwen3,
}
"""Tensors under their GGUF names and metadata, of a shape and a seed."""


def write(path: Path, architecture: str, case: str, seed: int = 0) -> Path:
    """A complete model file.

    Raises:
        LookupError: nothing here writes this architecture, or it has no such case.
    """
    if architecture not in WRITERS:
        have = ", ".join(WRITERS)
        raise LookupError(f"no writer of random models for {architecture!r}; add one beside those for {have}")
    if case not in cases(architecture):
        raise LookupError(f"no case {case!r} of {architecture}; there are {'; '.join(cases(architecture))}")
    type_of, shape = MIXES.get(case, MIXES["F32"])
    tensors, values = WRITERS[architecture](shape, seed)
    if shape.tied:
        tensors["token_embd.weight"] /= 4  # it is the output as well, and logits are of order 1
    if case == ROPE_FACTORS:
        tensors["rope_freqs.weight"] = np.geomspace(1, 8, shape.head_dim // 2, dtype=np.float32)
    scaling = ROPE_SCALINGS.get(case, {})
    values |= {f"{architecture}.rope.scaling.{key}": value for key, value in scaling.items()}
    rng = np.random.default_rng(seed)

    def encode(type_: GgmlType, tensor: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        return pack(type_, tensor, rng)

    return tiny_qwen2.write_gguf(path, tensors, values, architecture=architecture, type_of=type_of, encode=encode)


def pack(type_: GgmlType, tensor: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[Any]:
    """The tensor in a type, or, where the `gguf` package does not write the type, random blocks of the same rms."""
    kind = gguf.GGMLQuantizationType(type_.value)
    try:
        packed: npt.NDArray[Any] = gguf.quants.quantize(tensor, kind)
    except NotImplementedError:
        block_size, type_size = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (tensor.size // block_size, type_size), dtype=np.uint8)
        spread = rng.uniform(0.5, 1.5, len(blocks))
        _set_scales(blocks, type_, spread)
        _set_scales(blocks, type_, spread * tensor.std() / gguf.quants.dequantize(blocks, kind).std())
        packed = blocks.reshape(len(tensor), -1)
    return packed


def _set_scales(blocks: npt.NDArray[np.uint8], type_: GgmlType, scales: npt.NDArray[np.float64]) -> None:
    for at, mean_quant in zip(quant.CODECS[type_].SCALES, (1.0, _MEAN_QUANT.get(type_, 1.0)), strict=False):
        blocks[:, at : at + 2] = (scales * mean_quant).astype("<f2").view(np.uint8).reshape(-1, 2)


def _without_biases(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".bias")}
