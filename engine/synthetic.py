"""Model files of real shapes and random weights, for measuring speed and memory: nothing they say means anything.

Shapes are those of Qwen2.5 0.5B, 1.5B and 7B, the mix of types that of llama.cpp's Q4_K_M:

    attn_v, ffn_down     Q6_K in the layers where `_more_bits` says so, else Q4_K
    output               Q6_K; token_embd too where it serves as output (0.5B and 1.5B)
    all other matrices   Q4_K
    columns not a multiple of 256 (0.5B): Q4_K becomes Q5_0, Q6_K becomes Q8_0
    norms and biases     F32

Source: llama_tensor_get_type in llama-quant.cpp; config.json of the models.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from engine import quant
from engine.errors import ModelError
from engine.gguf.reader import GgufFile, open_gguf
from engine.gguf.types import GgmlType, ValueType, layout

SEED = 20250912
_ALIGNMENT = 32
_BYTES_AT_ONCE = 32 << 20
_WEIGHT_RMS = 0.03


@dataclass(frozen=True)
class Shape:
    """Sizes of one model; names as in Hugging Face transformers."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int
    tied: bool


SHAPES = {
    "qwen2.5-0.5b": Shape(896, 4864, 24, 14, 2, 151_936, True),
    "qwen2.5-1.5b": Shape(1536, 8960, 28, 12, 2, 151_936, True),
    "qwen2.5-7b": Shape(3584, 18_944, 28, 28, 4, 152_064, False),
    "tiny": Shape(256, 256, 1, 2, 1, 300, False),
}
"""The last one is nobody's: for trying out what takes a model."""


@dataclass(frozen=True)
class _Tensor:
    name: str
    type: GgmlType
    shape: tuple[int, ...]
    """In numpy order."""

    @property
    def size_bytes(self) -> int:
        block_size, type_size = layout(self.type)
        return int(np.prod(self.shape)) // block_size * type_size


def known(name: str) -> str:
    """The whole name; '7b' will do for 'qwen2.5-7b'.

    Raises:
        ModelError: no such shape.
    """
    for whole in (name, f"qwen2.5-{name}"):
        if whole in SHAPES:
            return whole
    raise ModelError(f"synthetic model {name!r} is not known; known are {', '.join(SHAPES)}")


def write(name: str, path: str | os.PathLike[str], *, sparse: bool = False) -> Path:
    """Write a model file; an interrupted write leaves none.

    Args:
        sparse: norms and biases, and in place of each matrix a hole of its size, which needs no room on most file
            systems and reads as zeros.

    Raises:
        ModelError: no such shape.
    """
    name, path = known(name), Path(path)
    shape = SHAPES[name]
    tensors = list(_tensors(shape))
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as out:
            out.write(_header(name, shape, tensors))
            start = out.tell()
            rng = np.random.default_rng(SEED)
            for tensor in tensors:
                if sparse and tensor.type is not GgmlType.F32:
                    out.seek(tensor.size_bytes, os.SEEK_CUR)
                else:
                    out.writelines(_data(tensor, rng))
                out.seek(-out.tell() % _ALIGNMENT, os.SEEK_CUR)
            out.truncate(start + sum(_padded(tensor.size_bytes) for tensor in tensors))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


@contextmanager
def shapes_only(name: str) -> Iterator[GgufFile]:
    """A sparse file, removed at the end: for weights that are made elsewhere.

    Raises:
        ModelError: no such shape.
    """
    with (
        TemporaryDirectory() as folder,
        open_gguf(write(name, Path(folder) / f"{name}.gguf", sparse=True)) as file,
    ):
        yield file


def _more_bits(layer: int, layers: int) -> bool:
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _tensors(shape: Shape) -> Iterator[_Tensor]:
    hidden, ffn = shape.hidden_size, shape.intermediate_size
    kv = shape.num_kv_heads * (hidden // shape.num_heads)

    def matrix(name: str, rows: int, columns: int, *, better: bool = False) -> _Tensor:
        whole = columns % 256 == 0
        if better:
            return _Tensor(name, GgmlType.Q6_K if whole else GgmlType.Q8_0, (rows, columns))
        return _Tensor(name, GgmlType.Q4_K if whole else GgmlType.Q5_0, (rows, columns))

    def vector(name: str, size: int) -> _Tensor:
        return _Tensor(name, GgmlType.F32, (size,))

    if not shape.tied:
        yield matrix("output.weight", shape.vocab_size, hidden, better=True)
    yield matrix("token_embd.weight", shape.vocab_size, hidden, better=shape.tied)
    for layer in range(shape.num_layers):
        blk, better = f"blk.{layer}.", _more_bits(layer, shape.num_layers)
        yield vector(f"{blk}attn_norm.weight", hidden)
        yield matrix(f"{blk}attn_q.weight", hidden, hidden)
        yield matrix(f"{blk}attn_k.weight", kv, hidden)
        yield matrix(f"{blk}attn_v.weight", kv, hidden, better=better)
        yield vector(f"{blk}attn_q.bias", hidden)
        yield vector(f"{blk}attn_k.bias", kv)
        yield vector(f"{blk}attn_v.bias", kv)
        yield matrix(f"{blk}attn_output.weight", hidden, hidden)
        yield vector(f"{blk}ffn_norm.weight", hidden)
        yield matrix(f"{blk}ffn_gate.weight", ffn, hidden)
        yield matrix(f"{blk}ffn_up.weight", ffn, hidden)
        yield matrix(f"{blk}ffn_down.weight", hidden, ffn, better=better)
    yield vector("output_norm.weight", hidden)


def _data(tensor: _Tensor, rng: np.random.Generator) -> Iterator[bytes]:
    """Random blocks whose weights have an rms of about `_WEIGHT_RMS`, some MiB at a time."""
    if tensor.type is GgmlType.F32:
        level = 1.0 if "norm" in tensor.name else 0.0
        yield (level + rng.standard_normal(tensor.shape) * 0.1).astype("<f4").tobytes()
        return
    type_size = layout(tensor.type)[1]
    blocks = tensor.size_bytes // type_size
    scale = _WEIGHT_RMS / _rms_of_unit_scales(tensor.type)
    step = max(1, _BYTES_AT_ONCE // type_size)
    for start in range(0, blocks, step):
        here = min(step, blocks - start)
        packed = np.frombuffer(rng.bytes(here * type_size), np.uint8).reshape(here, type_size).copy()
        _set_scales(packed, tensor.type, scale * rng.uniform(0.5, 1.5, here))
        yield packed.tobytes()


def mean_scales(type_: GgmlType) -> dict[int, float]:
    """Byte offset of each float16 scale in a block, and its mean, for weights with an rms of about `_WEIGHT_RMS`."""
    if not quant.CODECS[type_].SCALES:
        return {0: _WEIGHT_RMS}
    d = _WEIGHT_RMS / _rms_of_unit_scales(type_)
    return {at: d * _factor(number) for number, at in enumerate(quant.CODECS[type_].SCALES)}


def _factor(number: int) -> float:
    """The minimum of a K type is as large as its mean quant, 7.5 scales, so that weights have both signs."""
    return 7.5 if number else 1.0


def _set_scales(packed: npt.NDArray[np.uint8], type_: GgmlType, d: npt.NDArray[np.float64]) -> None:
    for number, at in enumerate(quant.CODECS[type_].SCALES):
        packed[:, at : at + 2] = (d * _factor(number)).astype("<f2").view(np.uint8).reshape(-1, 2)


def _rms_of_unit_scales(type_: GgmlType) -> float:
    packed = np.random.default_rng(0).integers(0, 256, (64, layout(type_)[1]), dtype=np.uint8)
    _set_scales(packed, type_, np.full(64, 1.0))
    return float(np.sqrt(np.mean(quant.decode(type_, packed) ** 2)))


def _padded(size: int) -> int:
    return size + -size % _ALIGNMENT


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _header(name: str, shape: Shape, tensors: list[_Tensor]) -> bytes:
    """Everything before the data, padded."""
    integers = {
        "block_count": shape.num_layers,
        "context_length": 32_768,
        "embedding_length": shape.hidden_size,
        "feed_forward_length": shape.intermediate_size,
        "attention.head_count": shape.num_heads,
        "attention.head_count_kv": shape.num_kv_heads,
    }
    entries = [
        _entry("general.architecture", ValueType.STRING, _text("qwen2")),
        _entry("general.name", ValueType.STRING, _text(f"synthetic {name}")),
        *(_entry(f"qwen2.{key}", ValueType.U32, struct.pack("<I", value)) for key, value in integers.items()),
        _entry("qwen2.attention.layer_norm_rms_epsilon", ValueType.F32, struct.pack("<f", 1e-6)),
        _entry("qwen2.rope.freq_base", ValueType.F32, struct.pack("<f", 1e6)),
        *_tokenizer(shape.vocab_size),
    ]
    infos, offset = [], 0
    for tensor in tensors:
        dims = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        infos.append(_text(tensor.name) + dims + struct.pack("<IQ", tensor.type, offset))
        offset += _padded(tensor.size_bytes)
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + b"".join(infos)
    return out + bytes(-len(out) % _ALIGNMENT)


def _entry(key: str, type_: ValueType, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", type_) + value


def _array(element: ValueType, values: list[bytes]) -> bytes:
    return struct.pack("<IQ", element, len(values)) + b"".join(values)


def _tokenizer(size: int) -> Iterator[bytes]:
    """A byte-level vocabulary of the right size: the 256 bytes, a merge for each other token, an end token."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]
    pairs = [(left, right) for left in alphabet for right in alphabet]
    triples = ((left + middle, right) for left, middle in pairs for right in alphabet)
    merges = list(islice(chain(pairs, triples), size - 257))
    words = [*alphabet, *(left + right for left, right in merges), "<|endoftext|>"]
    kinds = [1] * (size - 1) + [3]
    yield _entry("tokenizer.ggml.model", ValueType.STRING, _text("gpt2"))
    yield _entry("tokenizer.ggml.pre", ValueType.STRING, _text("qwen2"))
    yield _entry("tokenizer.ggml.tokens", ValueType.ARRAY, _array(ValueType.STRING, [_text(word) for word in words]))
    kinds_raw = [struct.pack("<i", kind) for kind in kinds]
    yield _entry("tokenizer.ggml.token_type", ValueType.ARRAY, _array(ValueType.I32, kinds_raw))
    texts = [_text(f"{left} {right}") for left, right in merges]
    yield _entry("tokenizer.ggml.merges", ValueType.ARRAY, _array(ValueType.STRING, texts))
    for key in ("bos", "eos", "padding"):
        yield _entry(f"tokenizer.ggml.{key}_token_id", ValueType.U32, struct.pack("<I", size - 1))
    yield _entry("tokenizer.ggml.add_bos_token", ValueType.BOOL, b"\0")
