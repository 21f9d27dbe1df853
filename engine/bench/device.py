"""Subjects on a GPU, or under Triton's interpreter: the model that stays on the device.

torch and triton are imported when a subject is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from engine.bench.figure import Samples
from engine.bench.subject import SEED, Limits, Note
from engine.bench.timer import HostTimer, Timer
from engine.errors import BackendError
from engine.gguf.reader import GgufFile
from engine.kv_cache import KvCache
from engine.models import load_model
from engine.models.on_device import CHUNK, OnDevice
from engine.ops.protocol import I64

_limits: dict[str, Limits] = {}


class DeviceSubject:
    """See `engine.bench.subject.Subject`."""

    chunk = CHUNK

    def __init__(
        self,
        file: GgufFile,
        precision: str,
        *,
        made_there: bool = False,
        eager: bool = False,
        timer: Timer | None = None,
    ) -> None:
        """Load the model.

        Args:
            made_there: take only the shapes and types of the file's matrices, and fill them at random on the device.
            eager: launch kernels one by one instead of replaying a graph.
            timer: default by CUDA events, under the interpreter by the host's clock.

        Raises:
            BackendError: no usable GPU, or not enough memory.
        """
        try:
            from engine.ops.cuda import target
        except ImportError as err:
            raise BackendError(f"backend 'cuda' cannot start: {err}") from err
        self._made = ExitStack()
        if made_there:
            from engine import synthetic
            from engine.ops.cuda.random_weight import instead_of_uploads

            self._made.enter_context(instead_of_uploads(synthetic.mean_scales))
        try:
            self._model = OnDevice(file, load_model, graph=not eager, precision=precision)
        except BaseException:
            self._made.close()
            raise
        self.name = f"cuda {precision}{' eager' if eager else ''}"
        self.place = target.name()
        self.timer = timer or _timer()
        self._precision = precision
        self._rng = np.random.default_rng(SEED)

    @property
    def model(self) -> OnDevice:
        return self._model

    def advance(self, token_ids: Sequence[int] | I64, kv_cache: KvCache) -> int:
        return self._model.next_token(token_ids, kv_cache)

    def array(self, shape: tuple[int, ...]) -> Any:
        from engine.ops.cuda import target

        return target.put(self._rng.standard_normal(shape, dtype=np.float32))

    @contextmanager
    def watched(self, note: Note) -> Iterator[None]:
        """Kernels launched one by one, behind so much other work that none of them waits for the host."""
        from engine.ops.cuda import bandwidth, launch

        def run(launched: launch.Launch) -> None:
            start = self.timer.mark()
            launch.run(launched)
            note(launched.name, start, self.timer.mark())

        with self._model.eager():
            bandwidth.occupy()
            with launch.intercepted(run):
                yield

    def limits(self) -> Limits:
        from engine.ops.cuda import bandwidth

        if self.place not in _limits:
            read = Samples(tuple(bandwidth.read_bandwidth(self.timer)))
            product = Samples(tuple(bandwidth.product_flops(self.timer)))
            _limits[self.place] = Limits(read, product, "float16 product by torch")
        return _limits[self.place]

    def facts(self) -> dict[str, Any]:
        return {
            "backend": "cuda",
            "precision": self._precision,
            "place": self.place,
            "clock": self.timer.clock,
            "device": self._model.facts(),
        }

    def release(self) -> None:
        from engine.ops.cuda import bandwidth

        bandwidth.release()
        self._model.release()
        self._made.close()


def _timer() -> Timer:
    from engine.ops.cuda import target
    from engine.ops.cuda.timer import EventTimer

    return HostTimer() if target.is_interpreted() else EventTimer()
