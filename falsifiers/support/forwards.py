"""Forwards of the golden models of `falsifiers/data/make_decoders.py` beside the logits that transformers gave."""

from __future__ import annotations

import numpy as np

from falsifiers.support import compare, engines, golden
from falsifiers.support.recorder import Recorder

PROMPTS = range(4)
LENGTHS = (1, 2, 7, 24)
LIMIT = 1e-4


def whole(pv: Recorder, names: tuple[str, ...], backend: str, *, columns: int) -> None:
    """Prompts of 1, 2, 7 and 24 tokens in one forward each.

    Args:
        columns: logits of a position, all models together.
    """
    judged = golden.arrays("decoders.npz")
    worst, compared = 0.0, 0
    for name in names:
        model = engines.model(golden.path(f"{name}.gguf"), backend)
        for prompt in PROMPTS:
            expected = judged[f"{name}_logits_{prompt}"]
            got = model.forward(judged[f"{name}_ids_{prompt}"], model.new_cache())
            worst = max(worst, compare.worst_error(got, expected))
            compared += expected.size
        engines.ran_on(pv, model.ops)
    pv.record("absolute error", worst, limit=LIMIT, unit="logit")
    pv.record("logits compared", compared, limit=sum(LENGTHS) * columns, unit="logits", bound="at_least")


def cached(pv: Recorder, names: tuple[str, ...], backend: str, *, columns: int) -> None:
    """24 tokens one at a time, and 7 at once and then one at a time."""
    judged = golden.arrays("decoders.npz")
    worst, compared = 0.0, 0
    for name in names:
        model = engines.model(golden.path(f"{name}.gguf"), backend)
        ids, expected = judged[f"{name}_ids_3"], judged[f"{name}_logits_3"]
        for first in (1, 7):
            cache = model.new_cache()
            parts = [model.forward(ids[:first], cache)]
            parts += [model.forward(ids[at : at + 1], cache) for at in range(first, len(ids))]
            assert cache.length == len(ids), f"{cache.length} positions cached after {len(ids)} tokens"
            worst = max(worst, compare.worst_error(np.concatenate(parts), expected))
            compared += expected.size
        engines.ran_on(pv, model.ops)
    pv.record("absolute error", worst, limit=LIMIT, unit="logit")
    pv.record("logits compared", compared, limit=2 * LENGTHS[-1] * columns, unit="logits", bound="at_least")
