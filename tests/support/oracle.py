"""One model on this engine's exact CPU path (float32 activations and cache) beside an independent engine.

token ids   of texts, with and without control tokens: equal
logits      KL(peer || ours) in nats at every position of every prompt: mean and worst within limits
greedy      64 tokens of every prompt: equal, or the two tokens are as probable as the limits allow. Where they
            differ, this engine goes on with the peer's token, so every position is compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.generate import generate
from engine.gguf.types import GgmlType
from engine.llm import Llm
from engine.sampling import Sampling
from support import vocabularies
from support.oracle_peer import Peer

NEW_TOKENS = 64

# Mean KL in nats, each about four times the largest that was measured. llama.cpp rounds activations to the format that
# the products of a type are made in: blocks of 8 bits for every quantised type, float16 and bfloat16 for those; float32
# differs in the order of sums alone.
_MEAN_KL = {GgmlType.F32: 1e-11, GgmlType.F16: 1e-5, GgmlType.BF16: 4e-4}
_MEAN_KL_OF_8_BITS = 1e-2


@dataclass(frozen=True)
class Limits:
    """What may differ, in nats, for a mean KL."""

    mean: float

    @property
    def worst(self) -> float:
        """Of one position: the error of logits grows with the activations' outliers, which few positions have."""
        return 10 * self.mean

    @classmethod
    def of(cls, types: frozenset[GgmlType]) -> Limits:
        """For a file with tensors of these types."""
        return cls(max(_MEAN_KL.get(type_, _MEAN_KL_OF_8_BITS) for type_ in types))


def gap_limit(kl: float) -> float:
    """Between two tokens that change places: five standard deviations of the difference of two logits.

    An error of variance s in each logit gives a KL of s / 2; the difference of two has the variance 2 s. Five, because
    thousands of positions are compared.
    """
    return 5 * math.sqrt(4 * kl)


@dataclass
class Comparison:
    """What was compared of one model, and what differs."""

    limits: Limits
    ids_equal: int = 0
    ids_compared: int = 0
    kl: list[float] = field(default_factory=list)
    """One per position."""
    vocab_size: int = 0
    greedy_equal: int = 0
    greedy_compared: int = 0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    """In nats, where greedy tokens differ: how much more probable this engine finds its own, and the limit of that."""
    differences: list[str] = field(default_factory=list)


def compare(path: Path, peer: Peer, prompts: Sequence[str] = ()) -> Comparison:
    """Compare one model file.

    Args:
        prompts: questions for the chat template; without any, pieces of text and random ids.

    Raises:
        EngineError: this engine refuses the file.
        PeerError: the peer ended.
    """
    with Llm.load(path, precision="f32", kv_cache="f32") as llm:
        found = Comparison(Limits.of(frozenset(info.type for info in llm.file.tensors.values())))
        compare_ids(llm, peer, found)
        for ids in map(llm.prompt_ids, prompts) if prompts else _any_prompts(llm):
            compare_logits(llm, peer, ids, found)
            compare_greedy(llm, peer, ids, found)
    mean, worst = float(np.mean(found.kl)), float(np.max(found.kl))
    # Written so that NaN is a difference.
    if not mean <= found.limits.mean:
        found.differences.append(f"logits: mean KL {mean:.2e}, limit {found.limits.mean:.0e}")
    if not worst <= found.limits.worst:
        found.differences.append(f"logits: worst KL {worst:.2e}, limit {found.limits.worst:.0e}")
    return found


def _any_prompts(llm: Llm) -> Iterator[list[int]]:
    yield llm.tokenizer.encode("def fibonacci(n): return What is 2+2? I'll say so.", special=False)
    for seed in range(2):
        yield np.random.default_rng(seed).integers(0, llm.model.config.vocab_size, 24).tolist()


def compare_ids(llm: Llm, peer: Peer, found: Comparison) -> None:
    """Of every text of `vocabularies`, with and without control tokens."""
    form = vocabularies.normal_form(llm.tokenizer.vocabulary.pre or vocabularies.SENTENCEPIECE)
    for text in vocabularies.texts(form):
        for special in (False, True):
            ours, theirs = llm.tokenizer.encode(text, special=special), peer.tokenize(text, special=special)
            found.ids_compared += 1
            if ours == theirs:
                found.ids_equal += 1
            else:
                found.differences.append(
                    f"token ids of {text[:40]!r}, special {special}: {ours[:12]}, peer {theirs[:12]}"
                )


def compare_logits(llm: Llm, peer: Peer, ids: list[int], found: Comparison) -> None:
    """At every position of one prompt."""
    ours, theirs = _log_softmax(llm.logits(ids)), peer.logprobs(ids, last=len(ids))
    found.vocab_size = ours.shape[1]
    if ours.shape != theirs.shape:
        found.differences.append(f"logits: shape {ours.shape}, peer {theirs.shape}")
        found.kl.append(math.nan)
        return
    found.kl += _kl(theirs, ours).tolist()


def compare_greedy(llm: Llm, peer: Peer, ids: list[int], found: Comparison) -> None:
    """What both say after one prompt."""
    theirs, text = peer.greedy(ids, NEW_TOKENS)
    found.greedy_compared += len(theirs)
    if len(theirs) < NEW_TOKENS and not (theirs and theirs[-1] in llm.tokenizer.end_ids):
        found.differences.append(
            f"greedy: the peer ends after {len(theirs)} tokens, {theirs[-1:]} is no end token here"
        )
    # Half a character at the end is shown here, and held back there.
    if (said := llm.tokenizer.decode(theirs, continues=True)).rstrip("\ufffd") != text.rstrip("\ufffd"):
        found.differences.append(f"greedy text of the same ids: {said[:60]!r}, peer {text[:60]!r}")
    at = 0
    while at < len(theirs):
        context = ids + theirs[:at]
        ours = _continue(llm, context, len(theirs) - at)
        same = next((n for n, pair in enumerate(zip(ours, theirs[at:], strict=False)) if pair[0] != pair[1]), len(ours))
        found.greedy_equal += same
        at += same
        if at == len(theirs):
            return
        if same == len(ours):
            found.differences.append(f"greedy: ends after {at} tokens, the peer does not")
            return
        here = ids + theirs[:at]
        scores = _log_softmax(llm.logits(here)[-1:])
        kl = float(_kl(peer.logprobs(here, last=1), scores)[0])
        gap, limit = float(scores[0, ours[same]] - scores[0, theirs[at]]), gap_limit(kl)
        found.gaps.append((gap, limit))
        # Both ways: a token that this engine itself finds less probable is no greedy choice of it.
        if not (kl <= found.limits.worst and abs(gap) <= limit):
            tokens = f"{ours[same]}, peer {theirs[at]}"
            found.differences.append(f"greedy token {at}: {tokens}; gap {gap:.1e}, limit {limit:.1e}, KL {kl:.1e}")
            return
        at += 1


def _continue(llm: Llm, context: list[int], new: int) -> list[int]:
    cache = llm.model.new_cache(len(context) + new)
    end_ids = llm.tokenizer.end_ids
    return list(generate(llm.model, context, kv_cache=cache, params=Sampling(), max_tokens=new, end_ids=end_ids))


def _kl(expected: npt.NDArray[np.float64], actual: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of each row of logarithms of probabilities, (T, V) to (T,)."""
    exact = _log_softmax(expected)  # the peer's sum to one in float32
    result: npt.NDArray[np.float64] = (np.exp(exact) * (exact - actual)).sum(axis=1)
    return result


def _log_softmax(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    shifted = rows.astype(np.float64) - rows.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
