"""A model on a GPU: the same forward as everywhere, on tensors that stay on the device.

The model file's own class runs with the operations of `engine.ops.cuda.resident`; nothing here repeats its arithmetic.
Added are what a device needs: the upload, a float16 KV cache, one graph for the decode step, and memory that is
accounted for before it is taken.

torch and triton are imported when a model is loaded here, not with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from engine.errors import BackendError
from engine.gguf.reader import GgufFile
from engine.kv_cache import KvCache
from engine.models.protocol import Config, Model
from engine.ops.protocol import F32, I64, Ops
from engine.trace import Tap

if TYPE_CHECKING:
    from engine.ops.cuda.graph import DecodeGraph

CHUNK = 256
"""Tokens of one forward that the workspace is reserved for; longer ones take more if there is more."""

Load = Callable[[GgufFile, Ops], Model]


class OnDevice:
    """A model that satisfies `engine.models.Model`; logits and tapped arrays are numpy, all else is on the device."""

    def __init__(self, file: GgufFile, load: Load, *, graph: bool = True) -> None:
        """Check the memory, then upload every weight once.

        Args:
            load: makes the model from the file with given operations.
            graph: decode by replaying a graph; without it, by launching the same kernels one by one.

        Raises:
            BackendError: no usable GPU, no torch or triton, or not enough device memory.
        """
        try:
            from engine.ops.cuda import memory, resident, target
            from engine.ops.cuda.residence import Residence
        except ImportError as err:
            raise BackendError(f"backend 'cuda' cannot start: {err}") from err
        target.device()
        self._residence = Residence()
        self._model = load(file, cast("Ops", resident))
        self.ops = self._model.ops
        sizes = cast("Any", self.config)
        self._cache_shape = (sizes.num_layers, sizes.num_kv_heads, sizes.head_dim)
        self.need = memory.Need(
            weights=sum(info.size_bytes for info in file.tensors.values()),
            kv_cache=memory.kv_cache_bytes(*self._cache_shape, sizes.context_length),
            workspace=memory.workspace(CHUNK, sizes.hidden_size, sizes.intermediate_size, sizes.vocab_size),
        )
        memory.require(self.need, sizes.context_length, memory.free_bytes())
        self._slow = resident.slow_types(frozenset(info.type for info in file.tensors.values()))
        self._wants_graph = graph and not self._slow and not target.is_interpreted()
        self._graphs: WeakKeyDictionary[object, DecodeGraph] = WeakKeyDictionary()
        self._dead = ""

    @property
    def config(self) -> Config:
        return self._model.config

    @property
    def unused_tensors(self) -> tuple[str, ...]:
        return self._model.unused_tensors

    @property
    def mode(self) -> str:
        """'graph', or 'eager' with the reason if it was not asked for."""
        if self._wants_graph:
            return "graph"
        return f"eager: {self._slow[0].name} has no kernel" if self._slow else "eager"

    def facts(self) -> dict[str, Any]:
        """Where this runs, how, and what was launched so far: part of the run record."""
        from engine.ops.cuda import launch, target

        return {
            **target.facts(),
            "mode": self.mode,
            "launches": launch.counts(),
            "weight_bytes": self._residence.size_bytes,
            "kv_cache_bytes": self.need.kv_cache,
        }

    def new_cache(self, max_positions: int | None = None) -> KvCache:
        """An empty float16 cache on the device, for at most `max_positions` (default: the context length).

        Raises:
            BackendError: the device has no room for it.
        """
        from engine.ops.cuda.kv_cache import DeviceKvCache

        positions = max_positions or self.config.context_length
        # the same methods as KvCache on another kind of array
        return cast("KvCache", self._guarded(lambda: DeviceKvCache(*self._cache_shape, positions)))

    def forward(
        self,
        token_ids: Sequence[int] | I64,
        kv_cache: KvCache,
        *,
        tap: Tap | None = None,
        last_only: bool = False,
    ) -> F32:
        """Run T new tokens; as the model's own forward, see there for arguments and errors.

        A single token without a tap is a replay of the graph, anything else launches its kernels one by one.

        Raises:
            BackendError: device memory is used up. From then on this model refuses every call.
        """
        ids = np.asarray(token_ids, dtype=np.int64)
        if len(ids) == 1 and tap is None and self._wants_graph and kv_cache.length < kv_cache.max_positions:
            return self._on_host(self._guarded(lambda: self._replay(int(ids[0]), kv_cache).logits))
        host_tap = _on_host_tap(tap) if tap else None
        run = self._model.forward
        return self._on_host(self._guarded(lambda: run(ids, kv_cache, tap=host_tap, last_only=last_only)))

    def next_token(self, token_id: int, kv_cache: KvCache) -> int:
        """Run one token and name the most probable next one; only its id leaves the device.

        Raises:
            BackendError: as `forward`.
        """
        from engine.ops.cuda import products

        if self._wants_graph and kv_cache.length < kv_cache.max_positions:
            return int(self._guarded(lambda: self._replay(token_id, kv_cache).best)[0])
        ids = np.array([token_id], dtype=np.int64)
        logits = self._guarded(lambda: self._model.forward(ids, kv_cache, last_only=True))
        return int(products.largest(logits)[0])

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Inside, the kernels of a single token are launched one by one as well."""
        before, self._wants_graph = self._wants_graph, False
        try:
            yield
        finally:
            self._wants_graph = before

    def release(self) -> None:
        """Give the device memory back; the model refuses every call from now on."""
        self._dead = self._dead or "the model was released"
        self._graphs.clear()
        self._residence.release()

    def _replay(self, token_id: int, kv_cache: KvCache) -> DecodeGraph:
        from engine.ops.cuda.graph import DecodeGraph

        vocab_size = self.config.vocab_size
        if not 0 <= token_id < vocab_size:
            # the message of the embedding: a graph does not look
            self._model.forward([token_id], kv_cache, last_only=True)
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

    def _guarded(self, run: Callable[[], Any]) -> Any:
        """Run; when memory is used up, let go of everything, so that the process has it back."""
        from engine.ops.cuda import memory

        if self._dead:
            raise BackendError(f"backend 'cuda': {self._dead}; load the model again, or use cpu")
        try:
            with self._residence.entered():
                return run()
        except memory.OutOfMemory as err:
            self._dead = f"device memory was used up ({str(err).splitlines()[0]})"
            self.release()
            memory.give_back()
            raise BackendError(f"backend 'cuda': {self._dead}; load the model again, or use cpu") from err

    @staticmethod
    def _on_host(logits: Any) -> F32:
        # a copy under the interpreter as well: the next replay writes to the same logits
        array: F32 = logits.to("cpu", copy=True).numpy()
        return array


def _on_host_tap(tap: Tap) -> Tap:
    def host_tap(name: str, layer: int | None, array: Any) -> None:
        tap(name, layer, array.cpu().numpy())

    return host_tap
