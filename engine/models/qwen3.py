"""qwen3: `engine.models.decoder` with a norm on each head of Q and K, and the halves of a head as rotary pairs.

The head dimension is a key of its own, attention.key_length, and not embedding_length / head_count.

Source: Qwen3ForCausalLM in Hugging Face transformers; tensor names of MODEL_ARCH.QWEN3 in the gguf package.
"""

from __future__ import annotations

from engine.models.config import Architecture
from engine.models.decoder import Decoder


class Qwen3(Decoder):
    """One loaded model."""

    architecture = Architecture("qwen3", has_qk_norm=True)
