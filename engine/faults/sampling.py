"""From logits to the next token, and when to stop."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from engine import generate, sampling
from engine.faults.seeding import Seeded, seeded
from engine.ops.protocol import F32
from engine.sampling import Sampling


def _on_candidates(**changed: Any) -> Seeded:
    def wrong(candidates: Any, logits: F32, params: Sampling) -> Any:
        return candidates(logits, replace(params, **changed))

    return seeded((sampling, "candidates", wrong))


def eos_ignored() -> Seeded:
    """End tokens do not end an answer."""

    def wrong(is_end: Any, token_id: int, end_ids: Collection[int]) -> bool:
        del is_end, token_id, end_ids
        return False

    return seeded((generate, "is_end", wrong))


def min_p_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(min_p=0.0)


def output_cut_at_16_tokens() -> Seeded:
    """Every answer ends after 16 tokens, so long ones that begin alike look equal."""

    def wrong(generate_: Any, *args: Any, max_tokens: int, **kwargs: Any) -> Any:
        return generate_(*args, max_tokens=min(max_tokens, 16), **kwargs)

    return seeded((generate, "generate", wrong))


def seed_ignored() -> Seeded:
    """Each generation has random numbers of its own."""
    fresh = itertools.count(1_000_000)

    def wrong(generator: Any, params: Sampling) -> Any:
        return generator(replace(params, seed=next(fresh)))

    return seeded((sampling, "generator", wrong))


def temperature_ignored() -> Seeded:
    """Every temperature above 0 is 1."""
    return _on_candidates(temperature=1.0)


def top_k_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(top_k=0)


def top_p_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(top_p=1.0)
