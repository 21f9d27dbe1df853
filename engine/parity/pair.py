"""Two sides opened together, of one model file, and the limits that suit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ParityError
from engine.gguf.identity import Identity, identify
from engine.gguf.reader import GgufFile, open_gguf
from engine.parity import sides
from engine.parity.compare import Side
from engine.parity.saved import Saved
from engine.parity.sides import Live, Name
from engine.parity.verdict import EXACT, ROUNDED, Limits
from engine.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Pair:
    """Both open."""

    a: Side
    b: Side
    tokenizer: Tokenizer

    @property
    def live(self) -> Live | None:
        """One that can make tokens of a prompt, if there is one."""
        return next((side for side in (self.a, self.b) if isinstance(side, Live)), None)

    def prompt_ids(self, texts: Sequence[str], *, raw: bool = False) -> list[list[int]]:
        """Token ids of prompts; a model without a chat template takes them as they are.

        Raises:
            ParityError: both sides are saved, and have their own tokens.
            EngineError: a prompt is refused.
        """
        if self.live is None:
            raise ParityError("both sides are files and have their own prompts; leave --prompt and --prompts out")
        llm = self.live.llm
        return [llm.prompt_ids(text, raw=raw or llm.template is None) for text in texts]

    def limits(self) -> Limits:
        """`EXACT` where neither side rounds to 8 bits, or keys and values to float16."""
        return ROUNDED if any(_rounds(side) for side in (self.a, self.b)) else EXACT


@contextmanager
def opened(a: Name, b: Name, model: Path, *, threads: int | None = None) -> Iterator[Pair]:
    """Open two sides; saved ones first, for they are refused sooner.

    Raises:
        ParityError: a file is refused, holds no logits, or is of another model.
        EngineError: as `sides.load`.
    """
    with ExitStack() as held:
        found: dict[Name, list[Side]] = {}
        for name in sorted((a, b), key=lambda name: bool(name.backend)):
            side: Side = sides.load(name, model, threads=threads) if name.backend else Saved(name)
            held.callback(side.close)
            found.setdefault(name, []).append(side)
        yield _checked(found[a][0], found[b][-1], model)


def _checked(a: Side, b: Side, model: Path) -> Pair:
    live = next((side for side in (a, b) if isinstance(side, Live)), None)
    files = [side for side in (a, b) if isinstance(side, Saved)]
    if live is not None:
        _require(files, live.llm.file, live.llm.identity if files else None)
        return Pair(a, b, live.llm.tokenizer)
    with open_gguf(model) as file:
        _require(files, file, identify(file))
        return Pair(a, b, Tokenizer.from_gguf(file))


def _require(files: Sequence[Saved], model: GgufFile, identity: Identity | None) -> None:
    """Refuse files of another model; without any, its digest is not needed, and it need not be read."""
    if identity is None:
        return
    assert identity.file_sha256 is not None
    for side in files:
        side.require_model(identity.file_sha256)
        side.require_logits(model.tensors["token_embd.weight"].shape[0])


def _rounds(side: Side) -> bool:
    """Whether a side is further from float32 than sums in another order are; 16-bit activations are not."""
    precision, kv_cache = (
        (side.about.precision, side.about.kv_cache)
        if isinstance(side, Saved)
        else (side.llm.precision, side.llm.kv_type)
    )
    return precision not in ("f32", "q16") or kv_cache != "f32"
