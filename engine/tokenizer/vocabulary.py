"""The vocabulary stored in a GGUF file, checked before anything is built from it.

    tokenizer.ggml.model            'gpt2': byte-level BPE; 'llama': BPE as SentencePiece does it
    tokenizer.ggml.pre              gpt2: name of the pre-tokenizer, see `engine.tokenizer.pretokenizers`
    tokenizer.ggml.tokens           array of strings, index = token id
    tokenizer.ggml.token_type       array of i32, see `TokenType`; absent: all normal
    tokenizer.ggml.merges           gpt2: array of 'left right', best first
    tokenizer.ggml.scores           llama: array of f32, the higher is merged first
    tokenizer.ggml.<x>_token_id     u32; bos, eos, eot, eom, padding, ...
    tokenizer.ggml.add_bos_token, add_space_prefix          bool; what holds without them is known by model and pre

Source: the GGUF specification; llama_token_type in llama.h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from engine.errors import TokenizerError
from engine.gguf.display import escape, quote
from engine.gguf.reader import GgufFile
from engine.gguf.strings import Strings
from engine.gguf.types import ValueType
from engine.tokenizer.merges import NO_MERGES, Merges
from engine.tokenizer.pretokenizers import PRETOKENIZERS
from engine.tokenizer.spellings import UNKNOWN, RepeatedTokenError, Spellings
from engine.tokenizer.stream import BYTE_SYMBOLS, byte_token

MODELS = ("gpt2", "llama")
# Real vocabularies end near 2^18 tokens and 2^19 merges, and their longest tokens are runs of some hundred spaces.
_MOST_TOKENS = 1 << 21
_MOST_MERGES = 1 << 22
_LONGEST_TOKEN_BYTES = 1 << 16
_SPACE = 0x20

_SPECIAL_IDS = ("bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask", "cls")
_SENTENCEPIECE_IDS = {"unknown": 0, "bos": 1, "eos": 2}
"""What SentencePiece gives out where a file does not say."""


class TokenType(IntEnum):
    """What a token stands for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Checked contents; ids are indices into `tokens`."""

    model: str
    """One of `MODELS`."""
    tokens: Strings
    spellings: Spellings
    """Of `tokens`."""
    types: npt.NDArray[np.int8]
    """`TokenType` by id."""
    merges: Merges
    """gpt2: best first; empty otherwise."""
    scores: npt.NDArray[np.float32]
    """llama: by id; empty otherwise."""
    pre: str
    """gpt2: name of the pre-tokenizer; empty otherwise."""
    special_ids: Mapping[str, int]
    """bos, eos, eot, ... as far as the file names them."""
    add_bos: bool
    """Whether a text without a chat template starts with the BOS token."""
    add_space_prefix: bool
    """llama: whether a text is encoded as if a space came before it."""

    def of_type(self, kind: TokenType) -> list[int]:
        """Ids of one type, ascending."""
        found: list[int] = np.flatnonzero(self.types == kind).tolist()
        return found


def read_vocabulary(file: GgufFile) -> Vocabulary:
    """Read and check a vocabulary.

    Raises:
        TokenizerError: the tokenizer is of another kind, or its arrays contradict each other.
        GgufError: a key is missing or of another type.
    """
    reader = _Reader(file)
    model = reader.choose("model", MODELS)
    return _byte_level(file, reader, model) if model == "gpt2" else _sentencepiece(file, reader, model)


def _byte_level(file: GgufFile, reader: _Reader, model: str) -> Vocabulary:
    pre = reader.choose("pre", sorted(PRETOKENIZERS))
    tokens = reader.strings("tokens", _MOST_TOKENS)
    special_ids = reader.special_ids(len(tokens))
    types = reader.token_types(len(tokens))
    reader.scores(len(tokens))
    spellings = reader.unique(tokens)
    reader.check_bytes(spellings, BYTE_SYMBOLS)
    add_bos = file.get("tokenizer.ggml.add_bos_token", bool, default=PRETOKENIZERS[pre].add_bos)
    return Vocabulary(
        model=model,
        tokens=tokens,
        spellings=spellings,
        types=types,
        merges=reader.merges(spellings),
        scores=np.empty(0, np.float32),
        pre=pre,
        special_ids=special_ids,
        add_bos=bool(add_bos) and "bos" in special_ids,
        add_space_prefix=False,
    )


def _sentencepiece(file: GgufFile, reader: _Reader, model: str) -> Vocabulary:
    tokens = reader.strings("tokens", _MOST_TOKENS)
    named = reader.special_ids(len(tokens))
    types = reader.token_types(len(tokens))
    scores = reader.scores(len(tokens))
    if scores is None:
        raise reader.error("M06", "tokenizer.ggml.scores is missing; model 'llama' merges by score")
    spellings = reader.unique(tokens)
    reader.check_bytes(spellings, [byte_token(byte) for byte in range(256)])
    special_ids = {name: index for name, index in _SENTENCEPIECE_IDS.items() if index < len(tokens)} | named
    return Vocabulary(
        model=model,
        tokens=tokens,
        spellings=spellings,
        types=types,
        merges=NO_MERGES,
        scores=scores,
        pre="",
        special_ids=special_ids,
        add_bos=bool(file.get("tokenizer.ggml.add_bos_token", bool, default=True)),
        add_space_prefix=bool(file.get("tokenizer.ggml.add_space_prefix", bool, default=True)),
    )


class _Reader:
    """Each method reads one key and refuses what it must not hold; codes continue those of `engine.gguf.reader`."""

    def __init__(self, file: GgufFile) -> None:
        self._file = file

    def error(self, code: str, problem: str) -> TokenizerError:
        return TokenizerError(f"{escape(self._file.path.name)}: GGUF-{code}: {problem}")

    def choose(self, key: str, supported: Sequence[str]) -> str:
        value = self._file.get(f"tokenizer.ggml.{key}", str)
        if value not in supported:
            names = ", ".join(supported)
            raise self.error("K12", f"tokenizer.ggml.{key} {quote(value)} is not supported; supported: {names}")
        return value

    def strings(self, key: str, most: int) -> Strings:
        value = self._file.get(f"tokenizer.ggml.{key}", Strings)
        if not 1 <= len(value) <= most:
            raise self.error("M10", f"tokenizer.ggml.{key} has {len(value)} entries, must have 1..{most}")
        return value

    def special_ids(self, size: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in _SPECIAL_IDS:
            value = self._file.get(f"tokenizer.ggml.{name}_token_id", int, default=None)
            if value is None:
                continue
            if value >= size:
                raise self.error("M05", f"{name}_token_id {value} is outside a vocabulary of {size}")
            found[name] = value
        return found

    def token_types(self, size: int) -> npt.NDArray[np.int8]:
        array = self._file.get("tokenizer.ggml.token_type", np.ndarray, default=None)
        if array is None:
            return np.full(size, TokenType.NORMAL, np.int8)
        if array.dtype.kind not in "iu":
            raise self.error("M07", f"tokenizer.ggml.token_type must be an array of {ValueType.I32.label}")
        if len(array) != size:
            raise self.error("M06", f"lengths differ: {size} tokens, {len(array)} token types")
        unknown = array[(array < min(TokenType)) | (array > max(TokenType))]
        if unknown.size:
            raise self.error("M06", f"token type {unknown.min()} is not one of 1..{max(TokenType)}")
        return array.astype(np.int8)

    def scores(self, size: int) -> npt.NDArray[np.float32] | None:
        """Scores by id; None if the file has none."""
        array = self._file.get("tokenizer.ggml.scores", np.ndarray, default=None)
        if array is None:
            return None
        if array.dtype != np.float32:
            raise self.error("M07", f"tokenizer.ggml.scores must be an array of {ValueType.F32.label}")
        if len(array) != size:
            raise self.error("M06", f"lengths differ: {size} tokens, {len(array)} scores")
        if not np.isfinite(array).all():
            index = int(np.flatnonzero(~np.isfinite(array))[0])
            raise self.error("M07", f"score {index} is {array[index]}; scores must be finite")
        return array

    def unique(self, tokens: Strings) -> Spellings:
        sizes = np.diff(tokens.offsets)
        misfits = np.flatnonzero((sizes < 1) | (sizes > _LONGEST_TOKEN_BYTES))
        misfit = int(misfits[0]) if misfits.size else len(tokens)
        broken = tokens.not_utf8()
        if broken is not None and broken <= misfit:
            raise self.error("S04", f"token {broken} is not valid UTF-8: {quote(tokens[broken], 40)}")
        if misfit < len(tokens):
            size = f"token {misfit} is {sizes[misfit]} bytes long"
            raise self.error("M11", f"{size}, must be 1..{_LONGEST_TOKEN_BYTES}")
        try:
            return Spellings(tokens)
        except RepeatedTokenError as err:
            second, first = err.args
            raise self.error("M08", f"token {second} repeats token {first}, {quote(tokens[second], 40)}") from None

    def check_bytes(self, spellings: Spellings, byte_tokens: Sequence[str]) -> None:
        ids = spellings.ids([token.encode() for token in byte_tokens])
        if missing := [token for token, found in zip(byte_tokens, ids, strict=True) if found == UNKNOWN]:
            raise self.error("M09", f"{len(missing)} of the 256 byte tokens are missing, first {quote(missing[0])}")

    def merges(self, spellings: Spellings) -> Merges:
        written = self.strings("merges", _MOST_MERGES)
        starts, ends = written.offsets[:-1].astype(np.int64), written.offsets[1:].astype(np.int64)
        spaces = np.flatnonzero(written.raw == _SPACE)
        first = np.searchsorted(spaces, starts)
        at = np.append(spaces, written.raw.size)[first]  # of the first space, if it is before the end
        wrong = np.flatnonzero((np.searchsorted(spaces, ends) - first != 1) | (at == starts) | (at == ends - 1))
        count = int(wrong[0]) if wrong.size else len(written)
        starts, at, ends = starts[:count], at[:count], ends[:count]
        # without its space, a merge is the token that it makes
        joined, before = np.delete(written.raw, spaces), np.arange(count)
        lengths = (at - starts, ends - at - 1, ends - starts - 1)
        places = (starts - before, at - before, starts - before)
        found = np.stack([spellings.find(joined, *part) for part in zip(places, lengths, strict=True)], axis=1)
        unknown = np.argwhere(found == UNKNOWN)
        if unknown.size:
            index, which = unknown[0].tolist()
            left, _, right = written[index].partition(" ")
            token = (left, right, left + right)[which]
            raise self.error("M10", f"merge {index} names unknown token {quote(token, 40)}")
        if count < len(written):
            merge = quote(written[count], 40)
            raise self.error("M10", f"merge {count} is {merge}, must be two tokens with a space between")
        return found
