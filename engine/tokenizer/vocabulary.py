"""The vocabulary stored in a GGUF file, checked before anything is built from it.

    tokenizer.ggml.model            'gpt2': byte-level BPE
    tokenizer.ggml.pre              name of the pre-tokenizer, see `engine.tokenizer.pretokenizers`
    tokenizer.ggml.tokens           array of strings, index = token id
    tokenizer.ggml.token_type       array of i32, see `TokenType`; absent: all normal
    tokenizer.ggml.merges           array of 'left right', best first
    tokenizer.ggml.<x>_token_id     u32; bos, eos, eot, eom, padding, ...

Source: the GGUF specification; llama_token_type in llama.h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from engine.errors import TokenizerError
from engine.gguf.reader import GgufFile
from engine.gguf.types import ValueType
from engine.tokenizer.pretokenizers import PRETOKENIZERS
from engine.tokenizer.stream import BYTE_SYMBOLS

# Real vocabularies end near 2^18 tokens and 2^19 merges, and their longest tokens are runs of some hundred spaces.
_MOST_TOKENS = 1 << 21
_MOST_MERGES = 1 << 22
_LONGEST_TOKEN_BYTES = 1 << 16

_SPECIAL_IDS = ("bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask", "cls")


class TokenType(IntEnum):
    """What a token stands for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Checked contents; ids are indices into `tokens`."""

    tokens: Sequence[str]
    types: Sequence[int]
    merges: Sequence[tuple[str, str]]
    pre: str
    special_ids: Mapping[str, int]
    """bos, eos, eot, ... as far as the file names them."""
    add_bos: bool

    def of_type(self, kind: TokenType) -> list[int]:
        """Ids of one type, ascending."""
        return [index for index, found in enumerate(self.types) if found == kind]


def read_vocabulary(file: GgufFile) -> Vocabulary:
    """Read and check a byte-level BPE vocabulary.

    Raises:
        TokenizerError: the tokenizer is of another kind, or its arrays contradict each other.
    """
    reader = _Reader(file)
    if (model := reader.text("model")) != "gpt2":
        raise reader.error("K12", f"tokenizer.ggml.model {model!r} is not supported; supported: 'gpt2'")
    pre = reader.text("pre")
    if pre not in PRETOKENIZERS:
        raise reader.error(
            "K12", f"tokenizer.ggml.pre {pre!r} is not supported; supported: {', '.join(sorted(PRETOKENIZERS))}"
        )
    tokens = reader.strings("tokens", _MOST_TOKENS)
    special_ids = reader.special_ids(len(tokens))
    types = reader.token_types(len(tokens))
    reader.check_scores(len(tokens))
    ids = reader.unique(tokens)
    return Vocabulary(
        tokens=tokens,
        types=types,
        merges=reader.merges(ids),
        pre=pre,
        special_ids=special_ids,
        add_bos=bool(file.metadata.get("tokenizer.ggml.add_bos_token", False)),
    )


class _Reader:
    """Each method reads one key and refuses what it must not hold; codes are those of the malformation corpus."""

    def __init__(self, file: GgufFile) -> None:
        self._file = file

    def error(self, code: str, problem: str) -> TokenizerError:
        return TokenizerError(f"{self._file.path.name}: GGUF-{code}: {problem}")

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self.error("K13", f"tokenizer.ggml.{key} must be a string")
        return value

    def strings(self, key: str, most: int) -> list[str]:
        value = self._value(key)
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
            raise self.error("K13", f"tokenizer.ggml.{key} must be an array of strings")
        if not 1 <= len(value) <= most:
            raise self.error("M11", f"tokenizer.ggml.{key} has {len(value)} entries, must have 1..{most}")
        return list(value)

    def special_ids(self, size: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in _SPECIAL_IDS:
            key = f"tokenizer.ggml.{name}_token_id"
            if key not in self._file.metadata:
                continue
            value = self._file.metadata[key]
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise self.error("K13", f"{key} must be a whole number")
            if not 0 <= value < size:
                raise self.error("M05", f"{name}_token_id {value} is outside a vocabulary of {size}")
            found[name] = int(value)
        return found

    def token_types(self, size: int) -> list[int]:
        value = self._file.metadata.get("tokenizer.ggml.token_type")
        if value is None:
            return [TokenType.NORMAL] * size
        types = [int(v) for v in self._numbers("token_type", value, "iu")]
        if len(types) != size:
            raise self.error("M06", f"lengths differ: {size} tokens, {len(types)} token types")
        if unknown := set(types) - set(TokenType):
            raise self.error("M06", f"token type {min(unknown)} is not one of 1..{max(TokenType)}")
        return types

    def check_scores(self, size: int) -> None:
        value = self._file.metadata.get("tokenizer.ggml.scores")
        if value is None:
            return
        scores = self._numbers("scores", value, "f")
        if scores.dtype != np.float32:
            raise self.error("M07", f"tokenizer.ggml.scores must be an array of {ValueType.F32.label}")
        if len(scores) != size:
            raise self.error("M06", f"lengths differ: {size} tokens, {len(scores)} scores")

    def unique(self, tokens: Sequence[str]) -> dict[str, int]:
        ids: dict[str, int] = {}
        for index, token in enumerate(tokens):
            if (size := len(token.encode("utf-8", "surrogatepass"))) > _LONGEST_TOKEN_BYTES:
                raise self.error(
                    "M11", f"token {index} is {size} bytes long, at most {_LONGEST_TOKEN_BYTES} are allowed"
                )
            if (first := ids.setdefault(token, index)) != index:
                raise self.error("M08", f"token {index} repeats token {first}, {token[:40]!r}")
        if missing := [symbol for symbol in BYTE_SYMBOLS if symbol not in ids]:
            raise self.error("M09", f"{len(missing)} of the 256 byte tokens are missing, the first is {missing[0]!r}")
        return ids

    def merges(self, ids: Mapping[str, int]) -> list[tuple[str, str]]:
        merges = []
        for index, merge in enumerate(self.strings("merges", _MOST_MERGES)):
            left, _, right = merge.partition(" ")
            if not left or not right or " " in right:
                raise self.error("M10", f"merge {index} is {merge[:40]!r}, must be two tokens with one space between")
            for token in (left, right, left + right):
                if token not in ids:
                    raise self.error("M10", f"merge {index} names unknown token {token[:40]!r}")
            merges.append((left, right))
        return merges

    def _value(self, key: str) -> Any:
        try:
            return self._file.metadata[f"tokenizer.ggml.{key}"]
        except KeyError:
            raise self.error("K13", f"tokenizer.ggml.{key} is missing") from None

    def _numbers(self, key: str, value: Any, kinds: str) -> np.ndarray[Any, np.dtype[Any]]:
        array = np.asarray(value)
        if array.ndim != 1 or array.dtype.kind not in kinds:
            code = "M07" if key == "scores" else "K13"
            wanted = ValueType.F32.label if kinds == "f" else ValueType.I32.label
            raise self.error(code, f"tokenizer.ggml.{key} must be an array of {wanted}")
        return array
