"""Byte-level BPE, `tokenizer.ggml.model` 'gpt2': normalise, split, write bytes as characters, merge.

Source: GPT-2's encoder.py.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from engine.tokenizer.pretokenizers import PRETOKENIZERS
from engine.tokenizer.stream import BYTE_SYMBOLS
from engine.tokenizer.vocabulary import Vocabulary


def cutter(vocabulary: Vocabulary) -> Tokenizer:
    """What cuts a text into bytes, without added tokens."""
    split = PRETOKENIZERS[vocabulary.pre]
    ids = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}
    made = Tokenizer(models.BPE(vocab=ids, merges=[], cache_capacity=0))
    if split.nfc:
        made.normalizer = normalizers.NFC()
    pieces = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in split.patterns]
    as_characters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([*pieces, as_characters])
    return made
