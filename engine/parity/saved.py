"""A saved side: what a live one computed, in a safetensors file that says of which model and which tokens.

    __metadata__    format    q4k.side/1
                    model, model_sha256     name and digest of the GGUF file
                    side, backend, precision, kv_cache
                    prompts   JSON: [{"token_ids": [...], "prompt_tokens": n, "first": p}, ...]
    logits          (rows, V): of positions first.. of the first prompt, then of the next one
    embedding  final_norm  layers.3.q  ...      a trace: (T, ...) of its one prompt, names as in `engine.trace`

`q4k trace --save` writes every position of one prompt, `q4k parity --save` the logits of each step of several.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from engine.gguf.display import quote
from engine.ops.protocol import F32
from engine.parity.safetensors import TensorFile
from engine.parity.sides import Live, Name

FORMAT = "q4k.side/1"
LOGITS = "logits"

_PROMPTS = "prompts"
_TEXTS = ("side", "backend", "precision", "kv_cache", "model", "model_sha256")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens that were run."""

    token_ids: tuple[int, ...]
    prompt_tokens: int
    """So many came at once, the others one by one."""
    first: int
    """Position of the first one whose logits count."""

    @property
    def rows(self) -> int:
        """Positions whose logits count."""
        return len(self.token_ids) - self.first


@dataclass(frozen=True, slots=True)
class About:
    """What ran."""

    side: str
    backend: str
    """`Live.place`."""
    precision: str
    """As `engine.models.PRECISIONS`."""
    kv_cache: str
    model: str
    model_sha256: str

    @classmethod
    def of(cls, side: Live) -> About:
        """The first call for a model reads its whole file."""
        llm = side.llm
        digest = llm.identity.file_sha256
        assert digest is not None
        return cls(side.name.text, side.place, llm.precision, llm.kv_type, llm.file.path.name, digest)


def metadata(about: About, prompts: Sequence[Prompt]) -> dict[str, str]:
    """The texts that a file carries."""
    return {"format": FORMAT, **asdict(about), _PROMPTS: json.dumps([asdict(prompt) for prompt in prompts])}


def metadata_bytes(token_counts: Iterable[int]) -> int:
    """At most so many as JSON: 12 for a token id, 128 for a prompt beside them, 8192 for the rest."""
    return 8192 + sum(128 + 12 * tokens for tokens in token_counts)


def layer_tensor(name: str, layer: int | None) -> str:
    """The tensor that holds a place of `engine.trace`."""
    return name if layer is None else f"layers.{layer}.{name}"


class Saved:
    """A saved side, open."""

    def __init__(self, name: Name) -> None:
        """Open and check everything but the values, which are checked as they are read.

        Raises:
            ParityError: the file is refused.
        """
        assert name.path is not None
        self.name = name
        self.file = TensorFile(name.path)
        try:
            self.about = About(**self._texts())
            self.prompts = self._prompts()
            for tensor in self.file.tensors:
                self._check_rows(tensor)
        except BaseException:
            self.close()
            raise

    def require_model(self, sha256: str) -> None:
        """Raises:
        ParityError: it was computed from another model file.
        """
        if self.about.model_sha256 != sha256:
            self.file.refuse(
                f"was saved from {quote(self.about.model)} with sha256 {self.about.model_sha256[:16]}..., "
                f"the model here has {sha256[:16]}...; save it again from this model"
            )

    def require_logits(self, vocab_size: int) -> None:
        """Raises:
        ParityError: it holds none, or of another vocabulary.
        """
        tensor = self.file.tensors.get(LOGITS)
        if tensor is None:
            self.file.refuse("holds no logits; save it with them among --taps, or without --taps")
        if tensor.shape[1:] != (vocab_size,):
            self.file.refuse(f"logits have shape {list(tensor.shape)}, expected {vocab_size} for each row")

    def logits(self, prompt: int, row: int) -> F32:
        """Logits (V,) of one row of one prompt.

        Raises:
            ParityError: a value is not finite.
        """
        before = sum(found.rows for found in self.prompts[:prompt])
        found: F32 = self.file.rows(LOGITS, before + row, before + row + 1)[0]
        return found

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __enter__(self) -> Saved:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _texts(self) -> dict[str, str]:
        found = self.file.metadata
        if found.get("format") != FORMAT:
            self.file.refuse(
                f"its format is {quote(found.get('format', ''))}, expected {FORMAT!r}: written by q4k --save"
            )
        if missing := [key for key in (*_TEXTS, _PROMPTS) if key not in found]:
            self.file.refuse(f"its metadata lacks {', '.join(missing)}")
        return {key: found[key] for key in _TEXTS}

    def _prompts(self) -> tuple[Prompt, ...]:
        try:
            entries = json.loads(self.file.metadata[_PROMPTS])
        except (ValueError, RecursionError):
            self.file.refuse("its prompts are not JSON")
        if not isinstance(entries, list):
            self.file.refuse("its prompts are not a list")
        return tuple(self._prompt(number, entry) for number, entry in enumerate(entries))

    def _prompt(self, number: int, entry: Any) -> Prompt:
        if not isinstance(entry, dict) or set(entry) != {"token_ids", "prompt_tokens", "first"}:
            self.file.refuse(f"prompt {number}: expected token_ids, prompt_tokens and first")
        ids, tokens, first = entry["token_ids"], entry["prompt_tokens"], entry["first"]
        if not isinstance(ids, list) or not all(type(i) is int and 0 <= i < 1 << 31 for i in ids):
            self.file.refuse(f"prompt {number}: token_ids must be token ids")
        if not (type(tokens) is int and type(first) is int and 0 <= first < tokens <= len(ids)):
            self.file.refuse(f"prompt {number}: first {first!r} < prompt_tokens {tokens!r} <= {len(ids)} must hold")
        return Prompt(tuple(ids), tokens, first)

    def _check_rows(self, name: str) -> None:
        if name == LOGITS:
            expected = sum(prompt.rows for prompt in self.prompts)
        elif len(self.prompts) == 1:
            expected = len(self.prompts[0].token_ids)
        else:
            self.file.refuse(f"tensor {quote(name)} beside {len(self.prompts)} prompts; a trace has one")
        rows = self.file.tensors[name].shape[0]
        if rows != expected:
            self.file.refuse(f"tensor {quote(name)} has {rows} rows, its prompts have {expected}")
