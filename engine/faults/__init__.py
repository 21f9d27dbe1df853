"""Seeded faults: mistakes of the kind that real engines shipped, planted to see whether a test notices.

Each is a function without required arguments that gives a context manager; inside it the fault is in the engine,
after it everything is as it was. What replaces a function of the engine is a Python function of this package, on the
reference and on the CPU where they share the place. One file for each class of faults; the file is the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.faults.indexing import (
    cpu_matmul_drops_tail,
    embedding_of_the_neighbour,
    gguf_arrays_lose_their_last,
    gguf_counts_cut_to_32_bits,
    gguf_reader_wrong_offset,
    gqa_wrong_head_mapping,
    integer_rows_shifted,
    logits_of_the_first_token,
)
from engine.faults.kv_cache import (
    kv_cache_growth_forgets,
    kv_cache_keeps_four_bits,
    kv_cache_not_reset,
    kv_cache_of_one_layer,
    kv_cache_off_by_one,
)
from engine.faults.layout import (
    gguf_dims_reversed,
    heads_before_tokens,
    k_and_v_swapped,
    k_rows_permuted,
    output_from_the_embedding,
    swiglu_gate_up_swapped,
)
from engine.faults.masking import (
    attention_sees_itself_only,
    causal_mask_off_by_one,
    mask_of_the_chunk_alone,
    mask_skipped_in_prefill,
    window_ignored,
    window_off_by_one,
)
from engine.faults.normalisation import (
    final_norm_dropped,
    head_norm_dropped,
    norm_epsilon,
    norm_epsilon_fixed,
    norm_epsilon_outside_the_root,
    norm_mean_subtracted,
    norm_no_weight,
)
from engine.faults.quantisation import (
    integer_activations_clipped,
    integer_low_plane_dropped,
    integer_offsets_dropped,
    q3k_scales_of_four_bits,
    q4_1_header_of_q4_0,
    q4k_later_blocks_lost,
    q4k_min_sign,
    q4k_nibble_swap,
    q4k_scale_high_bits_lost,
    q6k_high_bits_lost,
    q6k_scale_unsigned,
    q8_0_unsigned,
)
from engine.faults.rope import (
    rope_first_half_only,
    rope_magnitude_ignored,
    rope_on_q_only,
    rope_on_values,
    rope_position_off_by_one,
    rope_positions_in_bfloat16,
    rope_scaling_ignored,
    rope_theta_off,
    rope_turned_backwards,
    rope_wrong_pairing,
)
from engine.faults.sampling import (
    eos_ignored,
    greedy_takes_last_of_equals,
    greedy_takes_second,
    min_p_absolute,
    min_p_ignored,
    output_cut_at_16_tokens,
    seed_ignored,
    temperature_ignored,
    top_k_ignored,
    top_k_zero_keeps_one,
    top_p_ignored,
    top_p_one_token_short,
)
from engine.faults.scaling import (
    attention_scale_of_the_model,
    bias_doubled,
    bias_dropped,
    embedding_scaled,
    missing_attention_scale,
    noise,
    quick_gelu_for_silu,
    residual_dropped,
    swiglu_no_sigmoid,
)
from engine.faults.seeding import Seeded
from engine.faults.tokenisation import (
    bos_added_unasked,
    byte_alphabet_shifted,
    characters_cut_between_tokens,
    pretokenizer_of_gpt2,
    prompt_ignored,
    special_tokens_as_text,
    special_tokens_everywhere,
    template_drops_system,
    template_without_generation_prompt,
    tokenizer_merges_dropped,
)

CLASSES: Mapping[str, tuple[Callable[[], Seeded], ...]] = {
    "rope": (
        rope_first_half_only,
        rope_magnitude_ignored,
        rope_on_q_only,
        rope_on_values,
        rope_position_off_by_one,
        rope_positions_in_bfloat16,
        rope_scaling_ignored,
        rope_theta_off,
        rope_turned_backwards,
        rope_wrong_pairing,
    ),
    "scaling": (
        attention_scale_of_the_model,
        bias_doubled,
        bias_dropped,
        embedding_scaled,
        missing_attention_scale,
        noise,
        quick_gelu_for_silu,
        residual_dropped,
        swiglu_no_sigmoid,
    ),
    "quantisation": (
        integer_activations_clipped,
        integer_low_plane_dropped,
        integer_offsets_dropped,
        q3k_scales_of_four_bits,
        q4_1_header_of_q4_0,
        q4k_later_blocks_lost,
        q4k_min_sign,
        q4k_nibble_swap,
        q4k_scale_high_bits_lost,
        q6k_high_bits_lost,
        q6k_scale_unsigned,
        q8_0_unsigned,
    ),
    "masking": (
        attention_sees_itself_only,
        causal_mask_off_by_one,
        mask_of_the_chunk_alone,
        mask_skipped_in_prefill,
        window_ignored,
        window_off_by_one,
    ),
    "indexing": (
        cpu_matmul_drops_tail,
        embedding_of_the_neighbour,
        gguf_arrays_lose_their_last,
        gguf_counts_cut_to_32_bits,
        gguf_reader_wrong_offset,
        gqa_wrong_head_mapping,
        integer_rows_shifted,
        logits_of_the_first_token,
    ),
    "kv_cache": (
        kv_cache_growth_forgets,
        kv_cache_keeps_four_bits,
        kv_cache_not_reset,
        kv_cache_of_one_layer,
        kv_cache_off_by_one,
    ),
    "sampling": (
        eos_ignored,
        greedy_takes_last_of_equals,
        greedy_takes_second,
        min_p_absolute,
        min_p_ignored,
        output_cut_at_16_tokens,
        seed_ignored,
        temperature_ignored,
        top_k_ignored,
        top_k_zero_keeps_one,
        top_p_ignored,
        top_p_one_token_short,
    ),
    "normalisation": (
        final_norm_dropped,
        head_norm_dropped,
        norm_epsilon,
        norm_epsilon_fixed,
        norm_epsilon_outside_the_root,
        norm_mean_subtracted,
        norm_no_weight,
    ),
    "layout": (
        gguf_dims_reversed,
        heads_before_tokens,
        k_and_v_swapped,
        k_rows_permuted,
        output_from_the_embedding,
        swiglu_gate_up_swapped,
    ),
    "tokenisation": (
        bos_added_unasked,
        byte_alphabet_shifted,
        characters_cut_between_tokens,
        pretokenizer_of_gpt2,
        prompt_ignored,
        special_tokens_as_text,
        special_tokens_everywhere,
        template_drops_system,
        template_without_generation_prompt,
        tokenizer_merges_dropped,
    ),
}
"""Every fault by its class."""

ALL: tuple[Callable[[], Seeded], ...] = tuple(fault for faults in CLASSES.values() for fault in faults)
