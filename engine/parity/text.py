"""A comparison to be read in a terminal: 80 columns, the verdict last."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from engine.gguf.display import quote
from engine.parity import estimate
from engine.parity.report import Report
from engine.tokenizer import Tokenizer

WIDTH = 80
_LABEL = 14


def lines(report: Report, tokenizer: Tokenizer) -> Iterator[str]:
    """The whole page."""
    found, verdict, limits = report.found, report.verdict, report.limits
    prompts = f"{len(found.steps)} of {_plural(len(found.plans), 'prompt')}"
    for name, side in report.sides.items():
        what = f"{side['name']}{' (saved)' if side['saved'] else ''}: {side['place']}, {side['precision']}, "
        cache = f"{side['kv_cache']} cache; {_plural(found.samples[name], 'sample')} after {prompts}"
        yield from _entry(name, what + cache)
    yield from _entry("tokens", report.tokens_from)
    yield ""
    rows = report.by_step()
    if rows:
        yield _row("step", "same token", "95 % interval", "largest gap", "least cosine", "mean KL, nats")
    for row in rows:
        share = f"{row.share[0]:.0%} to {row.share[1]:.0%}"
        same = f"{row.same} of {row.samples}"
        yield _row(str(row.step), same, share, f"{row.largest_gap:.4g}", f"{row.least_cosine:.9f}", _mean(row.kl))
    for prompt, number, step in report.others():
        kind = "near tie" if step.deviations <= limits.near_tie else "DIFFERS"
        ours, theirs = (quote(tokenizer.decode([i], skip_special=False), 16) for i in (step.token_a, step.token_b))
        gap = f"a loses {step.gap:.4g} logits = {step.deviations:.4g} deviations"
        yield from _entry(kind, f"prompt {prompt}, step {number}: {ours} and {theirs}; {gap}")
    if rows:
        yield ""
    if report.share and verdict.kl and verdict.least_cosine is not None:
        share = f"{verdict.same} of {verdict.samples} = {verdict.same / verdict.samples:.1%}"
        low, high = report.share
        others = f"{verdict.near_ties} near ties, {verdict.flips} beyond (limit {limits.near_tie:g} deviations)"
        yield from _entry("same token", f"{share}, 95 % Wilson interval {low:.1%} to {high:.1%}; {others}")
        yield from _entry("least cosine", f"{verdict.least_cosine:.9f} (limit {limits.cosine:.7g})")
        yield from _entry("mean KL(a||b)", f"{_mean(verdict.kl)} nats{_interval(verdict.kl)} (limit {limits.kl:g})")
    yield from textwrap.wrap(": ".join([verdict.answer.upper(), *filter(None, ["; ".join(verdict.reasons)])]), WIDTH)


def _row(step: str, same: str, share: str, gap: str, cosine: str, kl: str) -> str:
    return f"{step:>4} {same:>11} {share:>14} {gap:>12} {cosine:>13}  {kl}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _entry(label: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, initial_indent=f"{label:<{_LABEL}}", subsequent_indent=" " * _LABEL)


def _mean(kl: estimate.Mean) -> str:
    return f"{kl.mean:.2e}" + ("" if kl.standard_error is None else f" +- {kl.standard_error:.1e}")


def _interval(kl: estimate.Mean) -> str:
    if kl.low is None or kl.high is None:
        return ""
    return f", 95 % interval {max(0.0, kl.low):.2e} to {kl.high:.2e}"
