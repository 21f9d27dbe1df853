"""For each seeded fault of `engine.faults`, probes of the engine whose results it changes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine import quant, sampling
from engine.gguf.cursor import Cursor
from engine.gguf.reader import open_gguf
from engine.gguf.strings import Strings
from engine.gguf.types import GgmlType
from engine.kv_cache import KvCache
from engine.llm import Llm
from engine.models import load_model
from engine.models.decoder import Decoder
from engine.ops import load_ops
from engine.ops.cpu.integer import IntegerOps
from engine.ops.protocol import Weight
from engine.ops.rotary import Rotary
from engine.sampling import Sampling
from engine.tokenizer import Tokenizer
from support import tiny_qwen2
from support.packed_weights import random_packed
from support.tiny_qwen2 import Shape

BACKENDS = ("reference", "cpu")
Probe = Callable[[Path], Any]


def write_models(folder: Path) -> Path:
    """A model with Q4_K and Q6_K weights; beside it one of float32 alone, whose sizes differ from each other."""
    shape = Shape(hidden=256, heads=4, ffn=512)
    tiny_qwen2.write_tiny(folder / "plain.gguf")
    tensors = tiny_qwen2.random_tensors(shape)
    return tiny_qwen2.write_gguf(folder / "mixed.gguf", tensors, tiny_qwen2.metadata(shape), type_of=tiny_qwen2.q4_k_m)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def weight(kind: GgmlType, rows: int = 4) -> Weight:
    return random_packed(kind, rows, 512, np.random.default_rng(int(kind)))


def codec(kind: GgmlType, module: Any) -> Probe:
    return lambda _: module.decode(weight(kind).data)


def matmul(kind: GgmlType, backend: str) -> Probe:
    return lambda _: load_ops(backend).matmul(np.ones((1, 512), np.float32), weight(kind))


def operation(name: str, backend: str, *arrays: Any, **options: Any) -> Probe:
    return lambda _: getattr(load_ops(backend), name)(*arrays, **options)


@cache
def logits(backend: str) -> Probe:
    """Logits of 7 tokens, 5 at once and then one at a time."""

    def probe(path: Path) -> Any:
        with open_gguf(path) as file:
            model = load_model(file, load_ops(backend))
            kv_cache = model.new_cache()
            return np.concatenate([model.forward(part, kv_cache) for part in ([5, 300, 17, 42, 99], [7], [12])])

    return probe


@cache
def answers(backend: str, *prompts: str, raw: bool = True, sampling: Sampling | None = None) -> Probe:
    """Token ids of the small model, 20 for each prompt."""

    def probe(path: Path) -> Any:
        with Llm.load(path.with_name("plain.gguf"), backend=backend) as llm:
            return [llm.generate(prompt, raw=raw, max_tokens=20, sampling=sampling).token_ids for prompt in prompts]

    return probe


def answers_after_eos(path: Path) -> Any:
    with Llm.load(path.with_name("plain.gguf"), backend="reference") as llm:
        full = llm.generate("hi", raw=True, max_tokens=8).token_ids
        llm.tokenizer.end_ids = frozenset({full[3]})
        return llm.generate("hi", raw=True, max_tokens=8).token_ids


def candidates(**params: Any) -> Probe:
    values = np.linspace(3, 0, 40, dtype=np.float32)
    return lambda _: [part.tolist() for part in sampling.candidates(values, Sampling(**{"temperature": 0.5, **params}))]


def drawn(_: Path) -> Any:
    return sampling.generator(Sampling(temperature=1, seed=3)).random(4)


def file_facts(path: Path) -> Any:
    with open_gguf(path.with_name("plain.gguf")) as file:
        return [
            {name: (info.shape, info.offset) for name, info in file.tensors.items()},
            file.data("blk.0.attn_q.bias").tobytes(),
            {key: len(value) for key, value in file.metadata.items() if isinstance(value, Strings)},
        ]


def encoded(path: Path) -> Any:
    with open_gguf(path) as file:
        return Tokenizer.from_gguf(file).encode("<|im_start|>What is 2+2?", special=True)


def encoded_code(path: Path) -> Any:
    with open_gguf(path) as file:
        return Tokenizer.from_gguf(file).encode(" ".join(tiny_qwen2.TRAINING_TEXT), special=False)


def prompt_ids(path: Path) -> Any:
    with Llm.load(path, backend="reference") as llm:
        return llm.prompt_ids([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])


def on_both(make: Callable[..., Probe], *args: Any, **options: Any) -> list[Probe]:
    return [make(*args, backend=backend, **options) for backend in BACKENDS]


def ops_on_both(name: str, *arrays: Any, **options: Any) -> list[Probe]:
    return [operation(name, backend, *arrays, **options) for backend in BACKENDS]


def weights(kind: GgmlType, module: Any) -> list[Probe]:
    return [codec(kind, module), *(matmul(kind, backend) for backend in BACKENDS)]


def rotated(position: int = 5, **how: Any) -> list[Probe]:
    return ops_on_both("rope", normal(1, 2, 8), np.array([position]), theta=10000.0, **how)


def head_norm(backend: str) -> Probe:
    model: Any = SimpleNamespace(ops=load_ops(backend), config=SimpleNamespace(rms_norm_eps=1e-6))
    return lambda _: Decoder._head_norm(model, normal(3, 8), normal(4))


SCALED = Rotary(factors=(1.0, 0.75, 0.5, 0.25), magnitude=1.25)


def cached(backend: str, kind: str) -> Probe:
    """Logits of two tokens after three, keys and values stored as `kind`."""

    def probe(path: Path) -> Any:
        with open_gguf(path.with_name("plain.gguf")) as file:
            model = load_model(file, load_ops(backend))
            kv_cache = model.new_cache().empty_as(kind)
            model.forward([5, 300, 17], kv_cache)
            return model.forward([42, 99], kv_cache)

    return probe


def last_logits(backend: str) -> Probe:
    def probe(path: Path) -> Any:
        with open_gguf(path.with_name("plain.gguf")) as file:
            model = load_model(file, load_ops(backend))
            return model.forward([5, 300, 17], model.new_cache(), last_only=True)

    return probe


def grown(path: Path) -> Any:
    del path
    kv_cache = KvCache(1, 1, 2, 1000)
    for _ in range(2):
        kv_cache.append(0, np.ones((200, 1, 2), np.float32), np.ones((200, 1, 2), np.float32))
    return kv_cache.view(0)[0].copy()


def integer(kind: GgmlType, precision: str, x: Any = None) -> Probe:
    """A product of 21 rows: no multiple of what is interleaved."""
    return lambda _: IntegerOps(precision, 1).matmul(normal(2, 512) if x is None else x, weight(kind, rows=21))


def chosen(values: list[float]) -> Probe:
    greedy = Sampling()
    return lambda _: sampling.sample(np.array(values, np.float32), greedy, sampling.generator(greedy))


def decoded(path: Path) -> Any:
    with open_gguf(path) as file:
        tokenizer = Tokenizer.from_gguf(file)
        return tokenizer.decode(tokenizer.encode("größer €5 \N{ROCKET}", special=False))


def encoded_as_text(path: Path) -> Any:
    with open_gguf(path) as file:
        return Tokenizer.from_gguf(file).encode("<|im_end|>", special=False)


def large_number(_: Path) -> Any:
    with tempfile.TemporaryFile() as stream:
        stream.write((5 << 32 | 7).to_bytes(8, "little"))
        stream.flush()
        return Cursor(stream.fileno(), "n", 8).u64("", "number")


OUTLIER = normal(2, 512)
OUTLIER[0, 3] = 1000


QKV = (normal(3, 4, 8), normal(5, 2, 8), normal(5, 2, 8) + 1, np.array([1, 2, 3]))
ROWS = (normal(2, 8), normal(2, 8) + 1)

PROBES: dict[str, list[Probe]] = {
    "attention_scale_of_the_model": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "attention_sees_itself_only": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "bias_doubled": [*ops_on_both("add_bias", normal(2, 8), normal(8)), *on_both(logits)],
    "bias_dropped": [*ops_on_both("add_bias", normal(2, 8), normal(8)), *on_both(logits)],
    "bos_added_unasked": [prompt_ids],
    "byte_alphabet_shifted": [decoded],
    "causal_mask_off_by_one": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "characters_cut_between_tokens": [decoded],
    "cpu_matmul_drops_tail": [matmul(GgmlType.Q4_K, "cpu"), logits("cpu")],
    "embedding_of_the_neighbour": on_both(logits),
    "embedding_scaled": on_both(logits),
    "eos_ignored": [answers_after_eos],
    "final_norm_dropped": on_both(logits),
    "gguf_arrays_lose_their_last": [file_facts],
    "gguf_counts_cut_to_32_bits": [large_number],
    "gguf_dims_reversed": [file_facts],
    "gguf_reader_wrong_offset": [file_facts],
    "greedy_takes_last_of_equals": [chosen([0, 3, 1, 3])],
    "greedy_takes_second": [chosen([0, 3, 1]), answers("reference", "hi")],
    "gqa_wrong_head_mapping": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "head_norm_dropped": on_both(head_norm),
    "heads_before_tokens": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "integer_activations_clipped": [integer(GgmlType.Q4_K, precision, OUTLIER) for precision in ("q8", "q16")],
    "integer_low_plane_dropped": [integer(GgmlType.Q6_K, precision) for precision in ("q8", "q16")],
    "integer_offsets_dropped": [integer(kind, "q8") for kind in (GgmlType.Q4_K, GgmlType.Q6_K)],
    "integer_rows_shifted": [integer(GgmlType.Q4_K, "q8")],
    "k_and_v_swapped": on_both(logits),
    "k_rows_permuted": on_both(logits),
    "kv_cache_growth_forgets": [grown],
    "kv_cache_keeps_four_bits": on_both(cached, kind="f16"),
    "kv_cache_not_reset": on_both(lambda backend: answers(backend, "one thing", "quite another")),
    "kv_cache_off_by_one": on_both(logits),
    "kv_cache_of_one_layer": on_both(logits),
    "logits_of_the_first_token": [*on_both(last_logits), answers("cpu", "hi")],
    "mask_of_the_chunk_alone": [*ops_on_both("attention", *QKV), *on_both(cached, kind="f32")],
    "mask_skipped_in_prefill": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "min_p_absolute": [candidates(min_p=0.2)],
    "min_p_ignored": [candidates(min_p=0.5)],
    "missing_attention_scale": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "noise": [*(matmul(GgmlType.Q4_K, backend) for backend in BACKENDS), *on_both(logits)],
    "norm_epsilon": [*ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6), *on_both(logits)],
    "norm_epsilon_fixed": ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6),
    "norm_epsilon_outside_the_root": ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6),
    "norm_mean_subtracted": [*ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6), *on_both(logits)],
    "norm_no_weight": [*ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6), *on_both(logits)],
    "output_cut_at_16_tokens": on_both(lambda backend: answers(backend, "hi")),
    "output_from_the_embedding": on_both(logits),
    "pretokenizer_of_gpt2": [encoded_code],
    "prompt_ignored": on_both(lambda backend: answers(backend, "one thing", "quite another")),
    "q3k_scales_of_four_bits": weights(GgmlType.Q3_K, quant.q3_k),
    "q4_1_header_of_q4_0": weights(GgmlType.Q4_1, quant.q4_1),
    "q4k_later_blocks_lost": weights(GgmlType.Q4_K, quant.q4_k),
    "q4k_min_sign": [*weights(GgmlType.Q4_K, quant.q4_k), *on_both(logits)],
    "q4k_nibble_swap": [*weights(GgmlType.Q4_K, quant.q4_k), *on_both(logits)],
    "q4k_scale_high_bits_lost": [*weights(GgmlType.Q4_K, quant.q4_k), *on_both(logits)],
    "q6k_high_bits_lost": [*weights(GgmlType.Q6_K, quant.q6_k), *on_both(logits)],
    "q6k_scale_unsigned": [*weights(GgmlType.Q6_K, quant.q6_k), *on_both(logits)],
    "q8_0_unsigned": weights(GgmlType.Q8_0, quant.q8_0),
    "quick_gelu_for_silu": [*ops_on_both("swiglu", *ROWS), *on_both(logits)],
    "residual_dropped": [*ops_on_both("add", *ROWS), *on_both(logits)],
    "rope_first_half_only": [*rotated(), *rotated(rotary=replace(SCALED, adjacent=True)), *on_both(logits)],
    "rope_magnitude_ignored": rotated(rotary=SCALED),
    "rope_on_q_only": on_both(logits),
    "rope_on_values": on_both(logits),
    "rope_position_off_by_one": [*rotated(0), *rotated(5), *on_both(logits)],
    "rope_positions_in_bfloat16": rotated(257),
    "rope_scaling_ignored": rotated(rotary=SCALED),
    "rope_theta_off": [*rotated(), *on_both(logits)],
    "rope_turned_backwards": [*rotated(), *on_both(logits)],
    "rope_wrong_pairing": [*rotated(), *on_both(logits)],
    "seed_ignored": [drawn, answers("reference", "hi", sampling=Sampling(temperature=2, seed=1))],
    "special_tokens_as_text": [encoded, prompt_ids],
    "special_tokens_everywhere": [encoded_as_text],
    "swiglu_gate_up_swapped": [*ops_on_both("swiglu", *ROWS), *on_both(logits)],
    "swiglu_no_sigmoid": [*ops_on_both("swiglu", *ROWS), *on_both(logits)],
    "temperature_ignored": [candidates()],
    "template_drops_system": [prompt_ids],
    "template_without_generation_prompt": [prompt_ids, answers("reference", "hi", raw=False)],
    "tokenizer_merges_dropped": [encoded, prompt_ids],
    "top_k_ignored": [candidates(top_k=3)],
    "top_k_zero_keeps_one": [candidates(), answers("cpu", "hi", sampling=Sampling(temperature=2, seed=1))],
    "top_p_ignored": [candidates(top_p=0.5)],
    "top_p_one_token_short": [candidates(top_p=0.5)],
    "window_ignored": ops_on_both("attention", *QKV, window=1),
    "window_off_by_one": ops_on_both("attention", *QKV, window=1),
}
