"""llama: `engine.models.decoder` with neighbours as rotary pairs; also Mistral's models, with a sliding window or not.

In these files the rows of Q and K lie so that the pairs of Llama's original code, (2i, 2i + 1), are the right ones.
They are used as they lie. Llama 3's scaling of the angles is in the tensor `rope_freqs.weight`.

Source: LlamaForCausalLM and MistralForCausalLM in Hugging Face transformers; tensor names of MODEL_ARCH.LLAMA in the
gguf package.
"""

from __future__ import annotations

from engine.models.config import Architecture
from engine.models.decoder import Decoder


class Llama(Decoder):
    """One loaded model."""

    architecture = Architecture("llama", adjacent_pairs=True)
