"""Byte-level BPE, `tokenizer.ggml.model` 'gpt2': normalise, split, write bytes as characters, merge.

Source: GPT-2's encoder.py.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from engine.tokenizer.pretokenizers import PRETOKENIZERS
from engine.tokenizer.vocabulary import Vocabulary


def build(vocabulary: Vocabulary) -> Tokenizer:
    """The encoder of a vocabulary, without its added tokens."""
    split = PRETOKENIZERS[vocabulary.pre]
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    bpe = Tokenizer(models.BPE(vocab=ids, merges=list(vocabulary.merges), ignore_merges=split.ignore_merges))
    if split.nfc:
        bpe.normalizer = normalizers.NFC()
    pieces = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in split.patterns]
    as_characters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([*pieces, as_characters])
    return bpe
