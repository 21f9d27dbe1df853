"""Text to token ids and back, from the vocabulary in a GGUF file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.errors import TokenizerError
from engine.gguf.reader import GgufFile
from engine.tokenizer import byte_level, sentencepiece
from engine.tokenizer.bpe import BytePairs, add_tokens
from engine.tokenizer.merges import NO_MERGES, MergeTable
from engine.tokenizer.pretokenizers import PRETOKENIZERS
from engine.tokenizer.stream import TextStream, byte_token, token_bytes
from engine.tokenizer.vocabulary import TokenType, Vocabulary, read_vocabulary

__all__ = ["TextStream", "TokenType", "Tokenizer", "Vocabulary"]

# Control tokens that end a turn in one family or another; a file may name only some of them as eos or eot.
_ENDS = frozenset(
    {
        *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|end_of_text|>", "<|return|>"),
        *("<end_of_turn>", "<end_of_utterance>", "<EOT>", "<｜end▁of▁sentence｜>"),
    }
)


class Tokenizer:
    """Encoder and decoder of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._special = frozenset(vocabulary.of_type(TokenType.CONTROL)).union(vocabulary.of_type(TokenType.UNKNOWN))
        self._user_defined = frozenset(vocabulary.of_type(TokenType.USER_DEFINED))
        self._bytes = {byte_token(byte): bytes([byte]) for byte in range(256)}
        self._bpe = build_bpe(vocabulary)
        self.vocabulary = replace(vocabulary, merges=NO_MERGES)  # `_bpe` has its own
        self.end_ids = self._find_ends()
        """Ids after which generation stops."""

    @classmethod
    def from_gguf(cls, file: GgufFile) -> Tokenizer:
        """The tokenizer stored in a file.

        Raises:
            TokenizerError: it is missing, broken or of a kind that is not supported.
        """
        return cls(read_vocabulary(file))

    @property
    def size(self) -> int:
        """Number of token ids."""
        return len(self.vocabulary.tokens)

    @property
    def bos_id(self) -> int | None:
        return self.vocabulary.special_ids.get("bos")

    @property
    def eos_id(self) -> int | None:
        return self.vocabulary.special_ids.get("eos")

    def token(self, token_id: int | None) -> str:
        """Text of one token as the vocabulary writes it; '' for None.

        Raises:
            TokenizerError: the id is outside the vocabulary.
        """
        if token_id is None:
            return ""
        self._check(token_id)
        return self.vocabulary.tokens[token_id]

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of a text; nothing is added before or after.

        Args:
            special: whether the text of a control token, such as '<|im_start|>', becomes that token. A rendered chat
                template needs it; text of a user must not have it.

        Raises:
            TokenizerError: the text holds half of a surrogate pair, so it is no Unicode text.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as err:
            raise TokenizerError(f"text is not valid Unicode at character {err.start}: {text[err.start]!r}") from err
        return self._bpe.encode(text, special=special)

    def stream(self, *, skip_special: bool = True, continues: bool = False) -> TextStream:
        """An incremental decoder.

        Args:
            skip_special: leave the control tokens and the unknown token out of the text.
            continues: the ids follow others, as an answer follows its prompt: a space that comes first is the model's
                own and stays, as in llama.cpp, and not one that encoding puts before each text.
        """

        def bytes_of(token_id: int) -> bytes:
            self._check(token_id)
            token = self.vocabulary.tokens[token_id]
            if token_id in self._special:
                return b"" if skip_special else token.encode("utf-8", "replace")
            return token.encode("utf-8", "replace") if token_id in self._user_defined else self._text_bytes(token)

        return TextStream(bytes_of, drop_space=self.vocabulary.add_space_prefix and not continues)

    def _text_bytes(self, token: str) -> bytes:
        """Bytes that the text of a normal token stands for."""
        if self.vocabulary.model == "gpt2":
            return token_bytes(token)
        return self._bytes.get(token) or token.replace(sentencepiece.SPACE, " ").encode("utf-8", "replace")

    def decode(self, token_ids: Iterable[int], *, skip_special: bool = True, continues: bool = False) -> str:
        """Text of all ids, see `stream`; bytes that form no character become U+FFFD.

        Raises:
            TokenizerError: an id is outside the vocabulary.
        """
        stream = self.stream(skip_special=skip_special, continues=continues)
        return "".join([*map(stream.push, token_ids), stream.finish()])

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self.size:
            raise TokenizerError(f"token id {token_id} is outside a vocabulary of {self.size}")

    def _find_ends(self) -> frozenset[int]:
        ids = self.vocabulary.special_ids
        named = {ids[name] for name in ("eos", "eot", "eom") if name in ids}
        return frozenset(named | {index for index in self._special if self.vocabulary.tokens[index] in _ENDS})


def build_bpe(vocabulary: Vocabulary) -> BytePairs:
    """The encoder of a vocabulary."""
    byte_level_pairs = vocabulary.model == "gpt2"
    cutter = (byte_level if byte_level_pairs else sentencepiece).cutter(vocabulary)
    # One list in id order: of tokens that are prefixes of each other the longest is found.
    kinds = ((TokenType.CONTROL, True), (TokenType.UNKNOWN, True), (TokenType.USER_DEFINED, False))
    add_tokens(
        cutter, [(vocabulary.tokens[index], special) for kind, special in kinds for index in vocabulary.of_type(kind)]
    )
    merges = vocabulary.merges if byte_level_pairs else sentencepiece.merges(vocabulary)
    whole_first = byte_level_pairs and PRETOKENIZERS[vocabulary.pre].ignore_merges
    return BytePairs(cutter, vocabulary.spellings, MergeTable(merges), whole_first=whole_first)
