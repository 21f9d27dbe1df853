"""How text is split before byte-level BPE, by `tokenizer.ggml.pre`; merges never cross from one piece to the next.

A pre-tokenizer is a list of regular expressions, used one after the other: each cuts every piece so far into what it
matches and what lies between. A Unicode normal form may come first.

Source: the tokenizer definitions published with each family of models; llama-vocab.cpp in llama.cpp for the names that
files use, for which of them are the same, and for the flags.
Not here: pre-tokenizers that are no regular expressions (kimi-k2, afmoe); a file that names one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """One way of splitting."""

    patterns: tuple[str, ...]
    """Regular expressions in Oniguruma syntax."""
    nfc: bool = False
    """Whether text is brought to Unicode normal form C first."""
    ignore_merges: bool = False
    """Whether a piece that is a token is that token, whatever the merges say."""
    add_bos: bool = False
    """Whether a text starts with the BOS token, where the file does not say."""


_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_CASELESS = f"(?i:{_CONTRACTIONS})"
_BLANKS = r"\s+(?!\S)|\s+"
_LINES = r"\s*[\r\n]+"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"

_GPT2 = rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|{_BLANKS}"
_QWEN2 = rf"{_CASELESS}|{_WORD}|\p{{N}}|{_OTHERS}|{_LINES}|{_BLANKS}"
_LLAMA3 = rf"{_CASELESS}|{_WORD}|\p{{N}}{{1,3}}|{_OTHERS}|{_LINES}|{_BLANKS}"

# Words of mixed case are cut before a capital: any letters but small ones, then any but capitals.
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _cased(after: str, numbers: str) -> str:
    start = r"[^\r\n\p{L}\p{N}]?"
    return (
        rf"{start}{_UPPER}*{_LOWER}+{after}|{start}{_UPPER}+{_LOWER}*{after}"
        rf"|{numbers}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_LINES}|{_BLANKS}"
    )


_CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_DEEPSEEK_LETTERS = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481"
    "\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b"
    "\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b"
    "\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
    "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
_DEEPSEEK_SIGNS = "!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002"
_ASCII_SIGNS = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"

_FAMILIES: Mapping[tuple[str, ...], PreTokenizer] = {
    ("qwen2", "deepseek-r1-qwen", "megrez"): PreTokenizer((_QWEN2,), nfc=True),
    ("stablelm2", "hunyuan", "solar-open"): PreTokenizer((_QWEN2,)),
    ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0"): PreTokenizer(
        (_LLAMA3,), ignore_merges=True, add_bos=True
    ),
    ("smaug-bpe", "dbrx", "chatglm-bpe"): PreTokenizer((_LLAMA3,)),
    ("glm4",): PreTokenizer((_LLAMA3,), ignore_merges=True),
    ("gpt-2", "phi-2", "mpt", "olmo", "jais", "mellum", "trillion", "a.x-4.0"): PreTokenizer((_GPT2,)),
    ("starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"): PreTokenizer(
        (r"\p{N}", _GPT2)
    ),
    ("falcon",): PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")),
    ("deepseek-llm",): PreTokenizer(
        (r"[\r\n]", rf"\s?[{_DEEPSEEK_LETTERS}]+", rf"\s?[{_DEEPSEEK_SIGNS}]+", r"\s+$", _CJK, r"\p{N}+")
    ),
    ("deepseek-coder",): PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK, r"\p{N}")),
    ("deepseek-v3", "hunyuan-dense"): PreTokenizer(
        (
            r"\p{N}{1,3}",
            "[\u4e00-\u9fa5\u3040-\u30ff]+",
            rf"{_ASCII_SIGNS}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[\r\n]*"
            rf"|{_LINES}|{_BLANKS}",
        )
    ),
    ("seed-coder",): PreTokenizer((_QWEN2.replace(_OTHERS, r" ?[^\s\p{L}\p{N}\r\n]+"),)),
    ("viking",): PreTokenizer((r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}")),
    ("tekken",): PreTokenizer((_cased("", r"\p{N}"),), ignore_merges=True, add_bos=True),
    ("gpt-4o", "llama4"): PreTokenizer((_cased(f"{_CASELESS}?", r"\p{N}{1,3}"),)),
    ("default",): PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
}


def _by_name() -> Iterator[tuple[str, PreTokenizer]]:
    for names, family in _FAMILIES.items():
        yield from ((name, family) for name in names)


PRETOKENIZERS: Mapping[str, PreTokenizer] = MappingProxyType(dict(_by_name()))
