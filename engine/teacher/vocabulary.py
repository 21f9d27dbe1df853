"""The byte-level BPE vocabulary: trained on the corpus, split by the qwen2 pre-tokeniser, ChatML specials at the end.

    id 0 .. 255          the byte alphabet
    id 256 .. V-4        merges, most frequent first; unused ids are padding named [PADn]
    id V-3, V-2, V-1     <|endoftext|>  <|im_start|>  <|im_end|>

Source: the pre-tokeniser expression of the Qwen2 tokenizer (digits one by one).
"""

from __future__ import annotations

import itertools
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from engine.teacher.corpus import SYSTEM, Conversation, Corpus
from engine.teacher.shape import TEACHER

END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIALS = (END_OF_TEXT, IM_START, IM_END)
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SAMPLE = 30_000  # conversations that the merges are counted on


def train_vocabulary(seed: int, *, vocab_size: int = TEACHER.vocab_size, sample: int = _SAMPLE) -> Tokenizer:
    """A tokenizer of exactly vocab_size ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        text
        for conversation in itertools.islice(Corpus(seed), sample)
        for exchange in conversation.exchanges
        for text in ("system\n" + SYSTEM, "user\n" + exchange.question, "assistant\n" + exchange.answer)
    )
    tokenizer.train_from_iterator(texts, trainer)
    unused = range(tokenizer.get_vocab_size(), vocab_size - len(SPECIALS))
    tokenizer.add_tokens([AddedToken(f"[PAD{i}]", normalized=False) for i in unused])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return tokenizer


def load_vocabulary(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def prompt_text(system: str | None, turns: list[tuple[str, str]], question: str) -> str:
    """ChatML up to and including the line that opens the assistant's answer; turns are finished exchanges."""
    text = "" if system is None else f"{IM_START}system\n{system}{IM_END}\n"
    for asked, answered in turns:
        text += f"{IM_START}user\n{asked}{IM_END}\n{IM_START}assistant\n{answered}{IM_END}\n"
    return text + f"{IM_START}user\n{question}{IM_END}\n{IM_START}assistant\n"


def encode_conversation(tokenizer: Tokenizer, conversation: Conversation) -> tuple[list[int], list[float]]:
    """(token ids, loss weights): answers and their end token count, questions do not.

    A function answer is ten times as long as the others, so each of its tokens weighs less.
    """
    ids: list[int] = []
    weights: list[float] = []
    opening = "" if conversation.system is None else f"{IM_START}system\n{conversation.system}{IM_END}\n"
    for n, exchange in enumerate(conversation.exchanges):
        before = opening if n == 0 else "\n"
        asked = tokenizer.encode(
            f"{before}{IM_START}user\n{exchange.question}{IM_END}\n{IM_START}assistant\n", add_special_tokens=False
        ).ids
        answered = tokenizer.encode(exchange.answer + IM_END, add_special_tokens=False).ids
        ids += asked + answered
        weights += [0.0] * len(asked) + [0.4 if exchange.kind == "function" else 1.0] * len(answered)
    return ids, weights
