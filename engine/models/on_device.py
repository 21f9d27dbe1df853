"""A model on a GPU: the same forward as everywhere, on tensors that stay on the device.

The model file's own class runs with the operations of `engine.ops.cuda.resident`; nothing here repeats its arithmetic.
Added are what a device needs: the upload, a float16 KV cache, one graph for the decode step, prefill in chunks, the
choice of the next token, and memory that is accounted for before it is taken.

torch and triton are imported when a model is loaded here, not with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from engine.errors import BackendError, SamplingError
from engine.gguf.reader import GgufFile
from engine.kv_cache import KvCache
from engine.models.protocol import Config, Model
from engine.ops.protocol import F32, I64, Ops
from engine.trace import Tap

if TYPE_CHECKING:
    from engine.ops.cuda.graph import DecodeGraph
    from engine.ops.cuda.kv_cache import DeviceKvCache

CHUNK = 1024
"""Tokens of one forward; the workspace is reserved for as many. A prompt is cut, and so is its memory bounded."""

PRECISIONS = ("q8", "f32")
"""q8: 8-bit activations up to 8 tokens, float16 ones beyond; f32: float32 activations in every product."""

Load = Callable[[GgufFile, Ops], Model]


class OnDevice:
    """A model that satisfies `engine.models.Model`; logits and tapped arrays are numpy, all else is on the device."""

    def __init__(self, file: GgufFile, load: Load, *, graph: bool = True, precision: str = "q8") -> None:
        """Check the memory, then upload every weight once and take the workspace for the longest forward.

        Args:
            load: makes the model from the file with given operations.
            graph: decode by replaying a graph; without it, by launching the same kernels one by one.
            precision: one of `PRECISIONS`.

        Raises:
            BackendError: no usable GPU, no torch or triton, no such precision, or not enough device memory.
        """
        try:
            from engine.ops.cuda import memory, target
            from engine.ops.cuda.model_ops import ModelOps
            from engine.ops.cuda.residence import Residence
        except ImportError as err:
            raise BackendError(f"backend 'cuda' cannot start: {err}") from err
        self.precision = precision
        self.ops = cast("Ops", ModelOps(precision))
        target.device()
        self._memory = memory
        self._residence = Residence(exact=precision == "f32")
        self._graphs: WeakKeyDictionary[object, DecodeGraph] = WeakKeyDictionary()
        self._caches: WeakSet[DeviceKvCache] = WeakSet()
        self._dead = ""
        self._eager = "" if graph else "asked for"
        if not self._eager and target.is_interpreted():
            self._eager = "the interpreter has no graphs"
        self._model = load(file, self.ops)
        sizes = cast("Any", self.config)
        self._cache_shape = (sizes.num_layers, sizes.num_kv_heads, sizes.head_dim)
        used = [info for name, info in file.tensors.items() if name not in self._model.unused_tensors]
        self.need = memory.need(
            [(info.type, info.shape) for info in used],
            self._cache_shape,
            positions=sizes.context_length,
            chunk=min(CHUNK, sizes.context_length),
            widths=memory.Widths(
                sizes.hidden_size, sizes.num_heads * sizes.head_dim, sizes.num_kv_heads * sizes.head_dim,
                sizes.intermediate_size, sizes.vocab_size, sizes.norms_heads,
            ),
        )  # fmt: skip
        memory.require(self.need, memory.free_bytes())
        self._guarded(self._rehearse)

    def _rehearse(self) -> None:
        """Forwards whose kernels are not started: they upload every weight, and take the workspace once."""
        from engine.ops.cuda import launch

        longest = min(CHUNK, self.config.context_length)
        with launch.intercepted(lambda _: None):
            for tokens in (1, longest):
                self._model.forward(np.zeros(tokens, np.int64), self._cache(tokens), last_only=True)

    @property
    def config(self) -> Config:
        return self._model.config

    @property
    def unused_tensors(self) -> tuple[str, ...]:
        return self._model.unused_tensors

    @property
    def mode(self) -> str:
        """'graph', or 'eager' with the reason."""
        return f"eager: {self._eager}" if self._eager else "graph"

    def facts(self) -> dict[str, Any]:
        """Where this runs, how, and what was launched so far: part of the run record."""
        from engine.ops.cuda import configs, launch, target

        return {
            **target.facts(),
            "mode": self.mode,
            "precision_mode": self.precision,
            "dependent_launch": configs.dependent_launch(),
            "launches": launch.counts(),
            "weight_bytes": self._residence.size_bytes,
            "kv_cache_bytes": sum(cache.size_bytes for cache in self._caches),
            "memory_needed": self.need.parts(),
            "memory_peak_bytes": self._memory.peak_bytes(),
        }

    def new_cache(self, max_positions: int | None = None) -> KvCache:
        """An empty float16 cache on the device, for at most `max_positions` (default: the context length).

        Raises:
            BackendError: the device has no room for it; the model stays as it is.
        """
        positions = max_positions or self.config.context_length
        # the same methods as KvCache on another kind of array
        return cast("KvCache", self._guarded(lambda: self._cache(positions), fatal=False))

    def forward(
        self,
        token_ids: Sequence[int] | I64,
        kv_cache: KvCache,
        *,
        tap: Tap | None = None,
        last_only: bool = False,
    ) -> F32:
        """Run T new tokens; as the model's own forward, see there for arguments and errors.

        A single token without a tap is a replay of the graph, anything else launches its kernels one by one. More
        than `CHUNK` tokens run in chunks, unless there is a tap, which sees all of them at once.

        Raises:
            BackendError: device memory is used up. From then on this model refuses every call.
        """
        ids = np.asarray(token_ids, dtype=np.int64)
        if tap is not None:
            host_tap, run = _OnHost(tap), self._model.forward
            return self._host(partial(run, ids, kv_cache, tap=host_tap, last_only=last_only))
        found = [self._host(partial(self._run, part, kv_cache, last_only)) for part in self._chunks(ids, kv_cache)]
        return found[-1] if last_only else np.concatenate(found)

    def next_token(self, token_ids: int | Sequence[int] | I64, kv_cache: KvCache) -> int:
        """Run the tokens and name the most probable next one; only its id leaves the device.

        Raises:
            BackendError, ContextError, ShapeError: as `forward`.
            SamplingError: the largest logit is not finite.
        """
        from engine.ops.cuda import products

        ids = np.atleast_1d(np.asarray(token_ids, dtype=np.int64))

        def best() -> int:
            *earlier, last = self._chunks(ids, kv_cache)
            for part in earlier:
                self._run(part, kv_cache, last_only=True)
            if self._replays(last, kv_cache):
                return int(self._replay(int(last[0]), kv_cache).best[0])
            return int(products.largest(self._run(last, kv_cache, last_only=True))[0])

        token_id: int = self._guarded(best)
        if token_id < 0:
            raise SamplingError("largest logit is not finite; the model or its file is broken")
        return token_id

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Inside, the kernels of a single token are launched one by one as well."""
        before, self._eager = self._eager, self._eager or "asked for"
        try:
            yield
        finally:
            self._eager = before

    def release(self) -> None:
        """Give the device memory back, that of its caches too; the model refuses every call from now on."""
        self._dead = self._dead or "the model was released"
        self._graphs.clear()
        for cache in self._caches:
            cache.release()
        self._residence.release()
        self._memory.give_back()

    def _chunks(self, ids: I64, kv_cache: KvCache) -> list[I64]:
        """Parts of a prompt, at least one; what a forward refuses stays whole, so that nothing of it is run."""
        fits = kv_cache.length + ids.size <= kv_cache.max_positions
        if ids.size <= CHUNK or not fits or ids.min() < 0 or ids.max() >= self.config.vocab_size:
            return [ids]
        return [ids[start : start + CHUNK] for start in range(0, ids.size, CHUNK)]

    def _run(self, ids: I64, kv_cache: KvCache, last_only: bool) -> Any:
        """Logits on the device."""
        if self._replays(ids, kv_cache):
            return self._replay(int(ids[0]), kv_cache).logits
        return self._model.forward(ids, kv_cache, last_only=last_only)

    def _replays(self, ids: I64, kv_cache: KvCache) -> bool:
        # what the forward refuses goes to the forward: a graph does not look
        is_sound = ids.size == 1 and 0 <= ids[0] < self.config.vocab_size
        return is_sound and not self._eager and kv_cache.length < kv_cache.max_positions

    def _replay(self, token_id: int, kv_cache: KvCache) -> DecodeGraph:
        from engine.ops.cuda.graph import DecodeGraph

        cache = cast("Any", kv_cache)
        graph = self._graphs.get(cache)
        if graph is None or not graph.is_current():
            graph = DecodeGraph(self._step, cache, token_id)
            self._graphs[cache] = graph
        graph.replay(cache, token_id)
        return graph

    def _step(self, cache: Any) -> Any:
        """The forward of one token whose id and position the input buffers hold; the id given here is not looked at."""
        return self._model.forward(np.zeros(1, np.int64), cache, last_only=True)

    def _cache(self, positions: int) -> Any:
        from engine.ops.cuda.kv_cache import DeviceKvCache

        cache = DeviceKvCache(*self._cache_shape, positions)
        self._caches.add(cache)
        return cache

    def _host(self, run: Callable[[], Any]) -> F32:
        # a copy under the interpreter as well: the next replay writes to the same logits
        array: F32 = self._guarded(lambda: run().to("cpu", copy=True).numpy())
        return array

    def _guarded(self, run: Callable[[], Any], *, fatal: bool = True) -> Any:
        """Run; when memory is used up, let go of everything if `fatal`, so that the process has it back."""
        if self._dead:
            raise BackendError(f"backend 'cuda': {self._dead}; load the model again, or use cpu")
        try:
            with self._residence.entered():
                return run()
        except Exception as err:
            failed = self._memory.used_up_by(err)
            if failed is None:
                raise
            said = str(failed).partition("\n")[0]
            del failed
        # After the handler, and without a cause: the error's traceback holds activations, and with them the memory.
        if fatal:
            self._dead = "device memory was used up"
            self.release()
        self._memory.give_back()
        raise BackendError(self._memory.used_up(said, self.need))


class _OnHost:
    """A tap that is shown numpy arrays."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self.on_request = getattr(tap, "on_request", ())

    def __call__(self, name: str, layer: int | None, array: Any) -> None:
        self._tap(name, layer, array if isinstance(array, np.ndarray) else array.cpu().numpy())
