"""From logits to the next token, and when to stop."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

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
    """Every temperature above 0 is 1.

    Seen in textgen #5451, where no sampler had any effect.
    """
    return _on_candidates(temperature=1.0)


def top_k_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(top_k=0)


def top_p_ignored() -> Seeded:
    """All tokens stay, however improbable."""
    return _on_candidates(top_p=1.0)


def greedy_takes_last_of_equals() -> Seeded:
    """Of equal logits the last one is chosen."""

    def wrong(sample: Any, logits: F32, params: Sampling, rng: Any) -> int:
        if params.greedy:
            return len(logits) - 1 - int(np.argmax(logits[::-1]))
        found: int = sample(logits, params, rng)
        return found

    return seeded((sampling, "sample", wrong))


def greedy_takes_second() -> Seeded:
    """Greedy decoding returns the second largest logit."""

    def wrong(sample: Any, logits: F32, params: Sampling, rng: Any) -> int:
        found: int = np.argsort(-logits, kind="stable")[1] if params.greedy else sample(logits, params, rng)
        return int(found)

    return seeded((sampling, "sample", wrong))


def min_p_absolute() -> Seeded:
    """min_p is compared with the probability itself, not with its share of the largest."""

    def wrong(min_p: Any, probabilities: Any, params: Sampling) -> int:
        del min_p
        return max(int(np.count_nonzero(probabilities >= params.min_p)), 1)

    return seeded((sampling, "_min_p", wrong))


def top_k_zero_keeps_one() -> Seeded:
    """A top_k of 0, which means all tokens, leaves the most probable one.

    Seen in llama.cpp, mended by #5388.
    """

    def wrong(top_k: Any, probabilities: Any, params: Sampling) -> int:
        found: int = top_k(probabilities, params)
        return found if params.top_k else 1

    return seeded((sampling, "_top_k", wrong))


def top_p_one_token_short() -> Seeded:
    """The token that reaches top_p is left out."""

    def wrong(top_p: Any, probabilities: Any, params: Sampling) -> int:
        found: int = top_p(probabilities, params)
        return max(found - 1, 1) if params.top_p < 1 else found

    return seeded((sampling, "_top_p", wrong))
