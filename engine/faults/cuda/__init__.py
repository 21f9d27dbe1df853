"""Seeded faults of the Triton kernels and their launchers, by the classes of `engine.faults`.

Tokens and templates concern no kernel. Importing this needs neither torch nor triton; entering a fault does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.faults.cuda.indexing import (
    embedding_of_the_neighbour,
    last_program_not_started,
    q8_scales_shifted,
    tail_dropped,
)
from engine.faults.cuda.kv_cache import (
    graph_keeps_its_position,
    keys_and_values_exchanged,
    one_layer_for_all,
)
from engine.faults.cuda.layout import (
    gate_below_up,
    q6k_not_repacked,
    swiglu_swapped,
)
from engine.faults.cuda.masking import (
    attention_one_slot_too_many,
    attention_without_mask,
)
from engine.faults.cuda.normalisation import (
    norm_epsilon,
    norm_weight_dropped,
)
from engine.faults.cuda.quantisation import (
    exact_mode_is_not,
    halves_not_scaled,
    minimums_dropped,
    one_scale_for_a_row,
    q4k_nibbles_swapped,
)
from engine.faults.cuda.rope import (
    rope_position_off_by_one,
    rope_theta_doubled,
    values_turned,
)
from engine.faults.cuda.sampling import (
    last_of_equals,
)
from engine.faults.cuda.scaling import (
    attention_scale_dropped,
    bias_doubled,
)
from engine.faults.seeding import Seeded

CLASSES: Mapping[str, tuple[Callable[[], Seeded], ...]] = {
    "rope": (
        rope_position_off_by_one,
        rope_theta_doubled,
        values_turned,
    ),
    "scaling": (
        attention_scale_dropped,
        bias_doubled,
    ),
    "quantisation": (
        exact_mode_is_not,
        halves_not_scaled,
        minimums_dropped,
        one_scale_for_a_row,
        q4k_nibbles_swapped,
    ),
    "masking": (
        attention_one_slot_too_many,
        attention_without_mask,
    ),
    "indexing": (
        embedding_of_the_neighbour,
        last_program_not_started,
        q8_scales_shifted,
        tail_dropped,
    ),
    "kv_cache": (
        graph_keeps_its_position,
        keys_and_values_exchanged,
        one_layer_for_all,
    ),
    "sampling": (last_of_equals,),
    "normalisation": (
        norm_epsilon,
        norm_weight_dropped,
    ),
    "layout": (
        gate_below_up,
        q6k_not_repacked,
        swiglu_swapped,
    ),
}
"""Every fault by its class."""

ALL: tuple[Callable[[], Seeded], ...] = tuple(fault for faults in CLASSES.values() for fault in faults)
