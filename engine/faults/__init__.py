"""Seeded faults: mistakes of the kind that real engines shipped, planted to see whether a test notices.

Each is a function without required arguments that gives a context manager; inside it the fault is in the engine,
after it everything is as it was. What replaces a function of the engine is a Python function of this package, on the
reference and on the CPU where they share the place. One file for each class of faults; the file is the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.faults.indexing import gguf_reader_wrong_offset, gqa_wrong_head_mapping
from engine.faults.kv_cache import kv_cache_not_reset, kv_cache_off_by_one
from engine.faults.layout import gguf_dims_reversed, swiglu_gate_up_swapped
from engine.faults.masking import causal_mask_off_by_one, window_off_by_one
from engine.faults.normalisation import head_norm_dropped, norm_epsilon, norm_no_weight
from engine.faults.quantisation import (
    q4k_min_sign,
    q4k_nibble_swap,
    q4k_scale_high_bits_lost,
    q6k_high_bits_lost,
    q6k_scale_unsigned,
)
from engine.faults.rope import (
    rope_magnitude_ignored,
    rope_on_q_only,
    rope_position_off_by_one,
    rope_scaling_ignored,
    rope_theta_off,
    rope_wrong_pairing,
)
from engine.faults.sampling import (
    eos_ignored,
    min_p_ignored,
    output_cut_at_16_tokens,
    seed_ignored,
    temperature_ignored,
    top_k_ignored,
    top_p_ignored,
)
from engine.faults.scaling import bias_dropped, missing_attention_scale, noise, residual_dropped, swiglu_no_sigmoid
from engine.faults.seeding import Seeded
from engine.faults.tokenisation import (
    prompt_ignored,
    special_tokens_as_text,
    template_drops_system,
    template_without_generation_prompt,
    tokenizer_merges_dropped,
)

CLASSES: Mapping[str, tuple[Callable[[], Seeded], ...]] = {
    "rope": (
        rope_magnitude_ignored,
        rope_on_q_only,
        rope_position_off_by_one,
        rope_scaling_ignored,
        rope_theta_off,
        rope_wrong_pairing,
    ),
    "scaling": (
        bias_dropped,
        missing_attention_scale,
        noise,
        residual_dropped,
        swiglu_no_sigmoid,
    ),
    "quantisation": (
        q4k_min_sign,
        q4k_nibble_swap,
        q4k_scale_high_bits_lost,
        q6k_high_bits_lost,
        q6k_scale_unsigned,
    ),
    "masking": (
        causal_mask_off_by_one,
        window_off_by_one,
    ),
    "indexing": (
        gguf_reader_wrong_offset,
        gqa_wrong_head_mapping,
    ),
    "kv_cache": (
        kv_cache_not_reset,
        kv_cache_off_by_one,
    ),
    "sampling": (
        eos_ignored,
        min_p_ignored,
        output_cut_at_16_tokens,
        seed_ignored,
        temperature_ignored,
        top_k_ignored,
        top_p_ignored,
    ),
    "normalisation": (
        head_norm_dropped,
        norm_epsilon,
        norm_no_weight,
    ),
    "layout": (
        gguf_dims_reversed,
        swiglu_gate_up_swapped,
    ),
    "tokenisation": (
        prompt_ignored,
        special_tokens_as_text,
        template_drops_system,
        template_without_generation_prompt,
        tokenizer_merges_dropped,
    ),
}
"""Every fault by its class."""

ALL: tuple[Callable[[], Seeded], ...] = tuple(fault for faults in CLASSES.values() for fault in faults)
