"""Prompt tokens in, new tokens out: prefill once, then decode one token at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from engine import sampling
from engine.errors import ContextError
from engine.kv_cache import KvCache
from engine.models.protocol import Model, NamesNextToken
from engine.ops.protocol import F32
from engine.sampling import Sampling
from engine.trace import Tap

PREFILL_CHUNK = 128
"""Tokens of a prompt that run together. Their activations are 12 MB in a model of 0.5B, 3 % of its file; 256 would be
5 % faster there, and no faster in larger ones."""

Advance = Callable[[Sequence[int]], int]
"""Runs tokens that follow those in the cache, and chooses the next one."""


@dataclass(slots=True)
class Timings:
    """Filled in while generation runs; the first new token belongs to prefill, whose logits gave it."""

    prefill_tokens: int = 0
    prefill_s: float = 0.0
    decode_tokens: int = 0
    """Forwards of one token each."""
    decode_s: float = 0.0

    @property
    def prefill_tokens_per_s(self) -> float:
        return self.prefill_tokens / self.prefill_s if self.prefill_s else 0.0

    @property
    def decode_tokens_per_s(self) -> float:
        return self.decode_tokens / self.decode_s if self.decode_s else 0.0


def generate(
    model: Model,
    prompt_ids: Sequence[int],
    *,
    kv_cache: KvCache,
    params: Sampling,
    max_tokens: int,
    end_ids: Collection[int],
    timings: Timings | None = None,
    tap: Tap | None = None,
    on_chunk: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Yield new token ids until an end token, which is the last one yielded, or `max_tokens`, or a full context.

    Args:
        kv_cache: emptied first.
        params: a seed of None draws other tokens each time.
        end_ids: tokens that end the answer.
        timings: filled in as tokens come.
        on_chunk: called before each chunk of the prompt; what it raises ends the generation.

    Raises:
        ContextError: the prompt is empty or longer than the cache.
    """
    timings = timings if timings is not None else Timings()
    kv_cache.reset()
    if not len(prompt_ids):
        raise ContextError("prompt is empty; it must have at least one token")
    if len(prompt_ids) > kv_cache.max_positions:
        raise ContextError(f"prompt has {len(prompt_ids)} tokens, the context holds {kv_cache.max_positions}")
    advance = _greedy(model, kv_cache) if params.greedy and tap is None else None
    advance = advance or _sampled(model, kv_cache, params, tap, on_chunk)
    start = time.perf_counter()
    token_id = advance(prompt_ids)
    timings.prefill_tokens += len(prompt_ids)
    timings.prefill_s += time.perf_counter() - start
    for remaining in range(max_tokens - 1, -1, -1):
        yield token_id
        if not remaining or is_end(token_id, end_ids) or kv_cache.length >= kv_cache.max_positions:
            return
        start = time.perf_counter()
        token_id = advance([token_id])
        timings.decode_tokens += 1
        timings.decode_s += time.perf_counter() - start


def _greedy(model: Model, kv_cache: KvCache) -> Advance | None:
    """The model's own choice, if it makes one: its logits do not come here."""
    if not isinstance(model, NamesNextToken):
        return None
    chooser = model
    return lambda token_ids: chooser.next_token(token_ids, kv_cache)


def _sampled(
    model: Model, kv_cache: KvCache, params: Sampling, tap: Tap | None, on_chunk: Callable[[], None] | None
) -> Advance:
    # numpy's random numbers are 10 MB of code
    rng = None if params.greedy else sampling.generator(params)
    return lambda ids: sampling.sample(prefill(model, ids, kv_cache, tap=tap, on_chunk=on_chunk)[-1], params, rng)


def prefill(
    model: Model,
    prompt_ids: Sequence[int],
    kv_cache: KvCache,
    *,
    tap: Tap | None = None,
    on_chunk: Callable[[], None] | None = None,
) -> F32:
    """Run the prompt, in chunks unless the model cuts it itself; the logits (1, V) of its last token."""
    chunk = len(prompt_ids) if isinstance(model, NamesNextToken) else PREFILL_CHUNK
    for start in range(0, len(prompt_ids), chunk):
        if on_chunk:
            on_chunk()
        logits = model.forward(prompt_ids[start : start + chunk], kv_cache, tap=tap, last_only=True)
    return logits


def is_end(token_id: int, end_ids: Collection[int]) -> bool:
    """Whether this token ends the answer."""
    return token_id in end_ids
