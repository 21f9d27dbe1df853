"""How text is split before BPE, by `tokenizer.ggml.pre`.

A split has a regular expression whose matches become pieces of their own (merges never cross pieces), and perhaps a
Unicode normal form applied first.

Source: tokenization_qwen2.py in Hugging Face transformers; GPT-2's encoder.py; llama-vocab.cpp for the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """One way of splitting."""

    pattern: str
    """Regular expression in Oniguruma syntax."""
    nfc: bool
    """Whether text is brought to Unicode normal form C first."""


_QWEN2 = PreTokenizer(
    pattern=(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
        r"|[^\r\n\p{L}\p{N}]?\p{L}+"
        r"|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+"
        r"|\s+(?!\S)"
        r"|\s+"
    ),
    nfc=True,
)
_GPT2 = PreTokenizer(
    pattern=r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    nfc=False,
)

PRETOKENIZERS: Mapping[str, PreTokenizer] = MappingProxyType(
    {
        "qwen2": _QWEN2,
        "deepseek-r1-qwen": _QWEN2,
        "gpt-2": _GPT2,
    }
)
