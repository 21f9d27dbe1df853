"""One loaded model to ask: file, tokenizer, template, weights and cache behind one object.

with Llm.load() as llm:                                  the bundled teacher
    print(llm.generate("What is 2+2?").text)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from engine import generate as generation
from engine.chat import ChatTemplate, Message
from engine.errors import BackendError, ContextError, ModelError, SamplingError, TemplateError, TokenizerError
from engine.footprint import release_start_up
from engine.generate import Timings
from engine.gguf.display import escape
from engine.gguf.identity import Identity, identify, tensors_sha256
from engine.gguf.reader import GgufFile, open_gguf
from engine.kv_cache import KvCache
from engine.models import DEFAULT_PRECISION, kv_type, load_model, load_on, parity_gate
from engine.models.on_device import OnDevice
from engine.ops import load_ops
from engine.ops.protocol import F32
from engine.prompt import conversation_ids
from engine.quant.scales import check_scales
from engine.sampling import Sampling
from engine.tokenizer import Tokenizer
from engine.trace import Tap

MAX_TOKENS = 256

GATE_PROMPT = "What is 2+2?"
"""What a model on a GPU answers beside the CPU before it may answer anything else."""

StopReason = Literal["eos", "length"]


def teacher_path() -> Path:
    """The model that comes with the engine.

    Raises:
        ModelError: this installation was built without it.
    """
    path = Path(__file__).parent / "assets" / "teacher.gguf"
    if not path.is_file():
        raise ModelError("teacher.gguf: the bundled model is not part of this installation; give the path of a model")
    return path


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer."""

    text: str
    """Without control tokens."""
    token_ids: tuple[int, ...]
    """New tokens; the end token, if there is one, is the last."""
    prompt_ids: tuple[int, ...]
    stop_reason: StopReason
    """'eos': an end token; 'length': max_tokens, or the context is full."""
    timings: Timings
    record: dict[str, Any]
    """What ran: `Llm.run_facts` and the sampling parameters, the seed among them."""


class Llm:
    """A model with everything needed to ask it. Not for use by several threads at once."""

    def __init__(
        self,
        file: GgufFile,
        *,
        backend: str = "cpu",
        precision: str | None = None,
        threads: int | None = None,
        kv_cache: str | None = None,
        gate: bool = True,
        now: datetime | None = None,
    ) -> None:
        """Use `load`, unless the file is open already.

        Args:
            backend, precision, threads, kv_cache, gate: see `load`.
            now: the clock that a chat template may read, see `engine.chat.ChatTemplate`.

        Raises:
            EngineError: any reason why this file cannot run here.
        """
        self.file = file
        self.backend = backend
        self.fallback = ""
        """Why the CPU runs and not the backend asked for; empty unless `load` was allowed to fall back."""
        self.parity: list[parity_gate.Step] = []
        """What the gate of a GPU measured, the prompt's end first; empty where none was asked."""
        self.precision = precision or DEFAULT_PRECISION.get(backend, "")
        self.kv_type = kv_type(backend, self.precision, kv_cache)
        """What keys and values are stored as, one of `engine.kv_cache.KV_TYPES`."""
        self.model = load_on(backend, file, precision, threads)
        self.ops = self.model.ops
        try:
            self._complete(now, gate)
        except BaseException:
            self._release()
            raise

    def _complete(self, now: datetime | None, gate: bool) -> None:
        file = self.file
        self.tokenizer = Tokenizer.from_gguf(file)
        if self.tokenizer.size > (rows := self.model.config.vocab_size):
            lengths = f"{self.tokenizer.size} tokens, {rows} embedding rows"
            raise TokenizerError(f"{escape(file.path.name)}: GGUF-M06: lengths differ: {lengths}")
        self.template = ChatTemplate.from_gguf(
            file,
            bos=self.tokenizer.token(self.tokenizer.bos_id),
            eos=self.tokenizer.token(self.tokenizer.eos_id),
            now=now,
        )
        check_scales(file)
        if gate and isinstance(self.model, OnDevice):
            prompt = self.prompt_ids(GATE_PROMPT, raw=self.template is None)
            self.parity = parity_gate.require(
                self.model, load_model(file, load_ops("cpu")), prompt, precision=self.precision
            )
        self.kv_cache = self.new_cache()
        self._types = frozenset(info.type for info in file.tensors.values())
        self._started = False
        file.check_unchanged()

    @classmethod
    def load(
        cls,
        path: str | PathLike[str] | None = None,
        *,
        backend: str = "cpu",
        precision: str | None = None,
        threads: int | None = None,
        kv_cache: str | None = None,
        allow_fallback: bool = False,
        gate: bool = True,
        now: datetime | None = None,
    ) -> Llm:
        """Open a model file; without a path the bundled teacher.

        Args:
            backend: a name in `engine.ops.BACKENDS`. It runs or the call fails; nothing else is tried.
            precision: of activations in products, one of `engine.models.PRECISIONS[backend]`; default f32, on cuda q8.
            threads: of the CPU, default one per core; with f32 it counts for every model of the process.
            kv_cache: what keys and values are stored as, f16 or f32; default see `engine.models.kv_type`.
            allow_fallback: where the backend is not available or does not pass its gate, run on the CPU; `fallback`
                and the run record say why.
            gate: judge a GPU before it may answer; without it only for those who measure what the gate would judge.

        Raises:
            EngineError: the file is refused, the model is not supported, or the backend is not available.
        """
        file = open_gguf(path if path is not None else teacher_path())
        try:
            try:
                llm = cls(
                    file, backend=backend, precision=precision, threads=threads, kv_cache=kv_cache, gate=gate, now=now
                )
            except BackendError as err:
                if not allow_fallback or backend == "cpu":
                    raise
                llm = cls(file, backend="cpu", precision=precision, kv_cache=kv_cache, now=now)
                llm.backend, llm.fallback = backend, str(err)
        except BaseException:
            file.close()
            raise
        file.forget("tokenizer.ggml.merges")
        release_start_up()  # before the first weight is resident: the peak comes then
        return llm

    def close(self) -> None:
        """Close the model file, and give back the memory of a device."""
        self._release()
        self.file.close()

    def _release(self) -> None:
        if isinstance(self.model, OnDevice):
            self.model.release()

    def __enter__(self) -> Llm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prompt_ids(self, prompt: str | Sequence[Message], *, raw: bool = False) -> list[int]:
        """Token ids that a prompt becomes.

        Args:
            prompt: a question, or a conversation; what it says of control tokens stays text.
            raw: the text as it is, without the chat template; only for a string.

        Raises:
            ContextError: the prompt is empty.
            TemplateError: the model has no chat template, or it refuses the conversation.
        """
        if not (prompt.strip() if isinstance(prompt, str) and not raw else prompt):
            raise ContextError("prompt is empty; it must have at least one token")
        if raw:
            if not isinstance(prompt, str):
                raise TemplateError("a conversation needs the chat template; a raw prompt is one text")
            bos_id = self.tokenizer.bos_id if self.tokenizer.vocabulary.add_bos else None
            return [*([] if bos_id is None else [bos_id]), *self.tokenizer.encode(prompt, special=True)]
        if self.template is None:
            raise TemplateError(
                f"{escape(self.file.path.name)}: no chat template in the file; use a raw prompt (--raw)"
            )
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return conversation_ids(self.template, self.tokenizer, messages)

    def generate(
        self,
        prompt: str | Sequence[Message],
        *,
        raw: bool = False,
        max_tokens: int = MAX_TOKENS,
        sampling: Sampling | None = None,
        on_text: Callable[[str], None] | None = None,
        on_chunk: Callable[[], None] | None = None,
        tap: Tap | None = None,
    ) -> Generation:
        """Answer a prompt. Every call starts with an empty cache.

        Args:
            prompt, raw: see `prompt_ids`.
            max_tokens: new tokens at most, the end token included.
            sampling: default greedy.
            on_text: called with each piece of text as soon as its characters are complete.
            on_chunk: called before each chunk of the prompt, of which a long one has many; what it raises ends the
                answer, as what on_text raises does.

        Raises:
            ContextError: the prompt is empty or longer than the context.
            SamplingError: max_tokens is below 1.
            GgufError: GGUF-M15, the model file changed since it was loaded; no token of the changed file is given.
        """
        if max_tokens < 1:
            raise SamplingError(f"max-tokens is {max_tokens}, must be >= 1")
        params = (sampling or Sampling()).seeded()
        prompt_ids = self.prompt_ids(prompt, raw=raw)
        self.file.check_unchanged()
        self._start(prompt_ids)
        timings = Timings()
        stream = self.tokenizer.stream(continues=True)
        token_ids: list[int] = []
        pieces: list[str] = []

        def emit(piece: str) -> None:
            pieces.append(piece)
            if on_text and piece:
                on_text(piece)

        for token_id in generation.generate(
            self.model,
            prompt_ids,
            kv_cache=self.kv_cache,
            params=params,
            max_tokens=max_tokens,
            end_ids=self.tokenizer.end_ids,
            timings=timings,
            tap=tap,
            on_chunk=on_chunk,
        ):
            self.file.check_unchanged()
            token_ids.append(token_id)
            emit(stream.push(token_id))
        emit(stream.finish())
        ended = bool(token_ids) and generation.is_end(token_ids[-1], self.tokenizer.end_ids)
        return Generation(
            text="".join(pieces),
            token_ids=tuple(token_ids),
            prompt_ids=tuple(prompt_ids),
            stop_reason="eos" if ended else "length",
            timings=timings,
            record={**self.run_facts(), "sampling": asdict(params)},
        )

    def _start(self, prompt_ids: Sequence[int]) -> None:
        """Run one token aside, once: loading compiled kernels, or capturing a graph, is not the prompt's speed."""
        if not self._started and prompt_ids:
            self.model.forward(prompt_ids[:1], self.kv_cache, last_only=True)
            self.kv_cache.reset()
            self._started = True

    def new_cache(self, max_positions: int | None = None) -> KvCache:
        """Another empty cache, that stores what `kv_type` says; for at most `max_positions` (default: the context).

        Raises:
            BackendError: a device has no room for it.
        """
        cache = self.model.new_cache(max_positions)
        # that of a device stores float16 in any case
        return cache if isinstance(self.model, OnDevice) else cache.empty_as(self.kv_type)

    def logits(self, token_ids: Sequence[int], *, tap: Tap | None = None) -> F32:
        """Logits (T, V) at every position of one text, from a cache of its own.

        Raises:
            ContextError: no tokens, or more than the context.
        """
        return self.model.forward(token_ids, self.new_cache(), tap=tap)

    @cached_property
    def identity(self) -> Identity:
        """Digests of the model; the first access reads the whole file."""
        self.file.check_unchanged()
        with open_gguf(self.file.path) as whole:  # `load` forgets what only the tokenizer needs
            return identify(whole)

    def run_facts(self) -> dict[str, Any]:
        """The backend that runs and what it runs on, without reading the whole file."""
        return {
            "backend": self.ops.name,
            "backend_asked": self.backend,
            "fallback": self.fallback or None,
            **self._device_facts(),
            "precision": self.ops.precision,
            "precision_mode": self.precision,
            "kv_cache": self.kv_type,
            "threads": self.ops.threads(),
            # of the integer kernels; float32 ones are whatever LLVM makes of them on this processor
            "instructions": getattr(getattr(self.ops, "isa", None), "label", None),
            "slow_types": [kind.name for kind in self.ops.slow_types(self._types)],
            "architecture": self.model.config.architecture,
            "model": self.file.path.name,
            "size_bytes": self.file.size_bytes,
            "tensors_sha256": tensors_sha256(self.file),
        }

    def _device_facts(self) -> dict[str, Any]:
        if not isinstance(self.model, OnDevice):
            return {}
        return {"device": self.model.facts(), "parity_gate": [asdict(step) for step in self.parity]}

    def record(self) -> dict[str, Any]:
        """The run record: `run_facts` and the digests of the whole model."""
        template_clock = self.template.now.isoformat() if self.template else None
        return {**self.run_facts(), "template_clock": template_clock, "identity": asdict(self.identity)}
