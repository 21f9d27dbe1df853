"""What generation needs of a model, whatever its architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from engine.kv_cache import KvCache
from engine.ops.protocol import F32, I64, Ops
from engine.trace import Tap


class Config(Protocol):
    """Sizes that callers outside the model ask for."""

    @property
    def architecture(self) -> str: ...

    @property
    def num_layers(self) -> int: ...

    @property
    def context_length(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...


class Model(Protocol):
    """One loaded model."""

    ops: Ops

    @property
    def config(self) -> Config: ...

    @property
    def unused_tensors(self) -> tuple[str, ...]: ...

    def new_cache(self, max_positions: int | None = None) -> KvCache: ...

    def forward(
        self,
        token_ids: Sequence[int] | I64,
        kv_cache: KvCache,
        *,
        tap: Tap | None = None,
        last_only: bool = False,
    ) -> F32: ...


@runtime_checkable
class NamesNextToken(Protocol):
    """What a model may offer besides: choosing the most probable token where the logits are, so that they stay there.

    Such a model also takes a prompt of any length at once and cuts it as its memory asks for.
    """

    def next_token(self, token_ids: Sequence[int] | I64, kv_cache: KvCache) -> int:
        """Run the tokens; the id of the largest logit after the last one, the smallest id of equals.

        Raises:
            SamplingError: the largest logit is not finite.
        """
        ...
