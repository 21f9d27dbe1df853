"""qwen2: `engine.models.decoder` with biases on Q, K and V, and the halves of a head as rotary pairs.

Source: Qwen2ForCausalLM in Hugging Face transformers; tensor names of MODEL_ARCH.QWEN2 in the gguf package.
"""

from __future__ import annotations

from engine.models.config import Architecture
from engine.models.decoder import Decoder


class Qwen2(Decoder):
    """One loaded model."""

    architecture = Architecture("qwen2", has_qkv_bias=True)
