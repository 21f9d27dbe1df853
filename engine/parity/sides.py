"""The two that are compared: a model on a backend, or what was saved of one.

    cpu  cpu-q8  cpu-q16  reference  cuda  cuda-f32      a live side: backend, and precision where it is not the default
    FILE.safetensors                                     a saved one: see `engine.parity.saved`

A live side runs the production forward, in the chunks in which production runs a prompt; a tap sees it, see
`engine.trace`. On a GPU it runs without the gate, which would refuse the very difference that is looked for.

    with sides.load(sides.parse("cpu-q8"), path) as side:
        context = side.context(len(ids) + 1)
        logits = context.feed(ids, tap=tap)              (T, V), numpy on every backend
        logits = context.feed([next_id], tap=tap)        follows those before it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np

from engine.errors import ContextError, ParityError
from engine.generate import PREFILL_CHUNK
from engine.llm import Llm
from engine.models import DEFAULT_PRECISION, PRECISIONS
from engine.models.on_device import CHUNK, OnDevice
from engine.ops.protocol import F32
from engine.trace import Tap

SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class Name:
    """A side as it is asked for."""

    text: str
    backend: str = ""
    """One of `engine.ops.BACKENDS`; empty for a file."""
    precision: str = ""
    """One of `engine.models.PRECISIONS[backend]`."""

    @property
    def path(self) -> Path | None:
        """The file of a saved side; None for a live one."""
        return None if self.backend else Path(self.text)


def _live_names() -> Iterator[tuple[str, Name]]:
    for backend, precisions in PRECISIONS.items():
        for precision in precisions:
            text = backend if precision == DEFAULT_PRECISION[backend] else f"{backend}-{precision}"
            yield text, Name(text, backend, precision)


LIVE: Mapping[str, Name] = MappingProxyType(dict(_live_names()))
"""Live sides by name."""


def parse(text: str) -> Name:
    """The side that a name means.

    Raises:
        ParityError: it is neither a live side nor the name of a safetensors file.
    """
    if text in LIVE:
        return LIVE[text]
    if not text.endswith(SUFFIX):
        raise ParityError(f"no such side {text!r}; available: {', '.join(sorted(LIVE))}, or a file *{SUFFIX}")
    return Name(text)


def live(backend: str, precision: str) -> Name:
    """The side of one of `engine.models.PRECISIONS`."""
    return next(name for name in LIVE.values() if (name.backend, name.precision) == (backend, precision))


class Context:
    """Tokens run so far, and room for more."""

    def __init__(self, llm: Llm, max_positions: int) -> None:
        self._file, self._model = llm.file, llm.model
        self._cache = llm.new_cache(max_positions)
        # as `engine.generate.prefill`; with a tap a device would run a prompt of any length at once
        self._chunk = CHUNK if isinstance(llm.model, OnDevice) else PREFILL_CHUNK

    @property
    def length(self) -> int:
        """Tokens run."""
        return self._cache.length

    def chunks(self, token_ids: Sequence[int], *, tap: Tap | None = None, last_only: bool = False) -> Iterator[F32]:
        """Run T tokens that follow those before, a chunk at a time.

        Yields:
            Logits (t, V) of each chunk; (1, V) with last_only.

        Raises:
            ContextError: no tokens, or more than there is room for.
            GgufError: GGUF-M15, the model file changed since it was loaded.
        """
        if not token_ids:
            raise ContextError("no tokens to run; a forward needs at least one")
        for start in range(0, len(token_ids), self._chunk):
            part = token_ids[start : start + self._chunk]
            yield self._model.forward(part, self._cache, tap=tap, last_only=last_only)
            self._file.check_unchanged()

    def feed(self, token_ids: Sequence[int], *, tap: Tap | None = None, last_only: bool = False) -> F32:
        """`chunks` as one array: (T, V), or (1, V) with last_only."""
        if last_only:
            for logits in self.chunks(token_ids, tap=tap, last_only=True):
                last = logits
            return last
        return np.concatenate(list(self.chunks(token_ids, tap=tap)))


class Live:
    """A model on a backend."""

    def __init__(self, name: Name, llm: Llm) -> None:
        self.name = name
        self.llm = llm

    def context(self, max_positions: int) -> Context:
        """An empty context.

        Raises:
            ContextError: the model's context is shorter.
            BackendError: a device has no room for it.
        """
        if max_positions > (most := self.llm.model.config.context_length):
            raise ContextError(f"{max_positions} tokens are more than the context of {most} holds")
        return Context(self.llm, max_positions)

    @property
    def place(self) -> str:
        """Where it runs: the backend, or the target of a device, so that kernels under the interpreter are named so."""
        model = self.llm.model
        return str(model.facts()["target"]) if isinstance(model, OnDevice) else self.name.backend

    def facts(self) -> dict[str, Any]:
        """What runs: `Llm.run_facts`, and `place`."""
        return {**self.llm.run_facts(), "place": self.place}

    def close(self) -> None:
        """Close the file and give back the memory of a device."""
        self.llm.close()

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(name: Name, model: Path, *, threads: int | None = None, kv_cache: str | None = None) -> Live:
    """A live side; the backend it names runs, or the call fails.

    Args:
        model: the GGUF file.
        threads, kv_cache: as `Llm.load`; `threads` counts for the CPU and is left out elsewhere.

    Raises:
        EngineError: as `Llm.load`.
    """
    assert name.backend, "a saved side is opened by engine.parity.saved"
    llm = Llm.load(
        model,
        backend=name.backend,
        precision=name.precision,
        threads=threads if name.backend == "cpu" else None,
        kv_cache=kv_cache,
        gate=False,
    )
    return Live(name, llm)
