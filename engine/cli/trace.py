"""`q4k trace`: what flows through a model, place by place."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from engine.cli import options
from engine.cli.outcomes import UsageError, guarded, say

if TYPE_CHECKING:
    from engine.parity.statistics import Summary
    from engine.parity.taps import Choice, Place
    from engine.parity.tracing import Trace

WIDTH: Final = 80
_FIELD: Final = 8


@guarded
def command(
    prompt: Annotated[str, typer.Option("--prompt", "-p", metavar="TEXT", help="What to run; - reads stdin.")],
    model: options.Model = None,
    teacher: options.Teacher = False,
    raw: Annotated[bool, typer.Option("--raw", help="The prompt as it is, without the chat template.")] = False,
    steps: Annotated[int, typer.Option(metavar="N", help="Tokens to choose and run after the prompt.")] = 0,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N-N", help="Of these layers only.", show_default=False)
    ] = None,
    taps: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="These places; all: with scores too. Default all but scores."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them, every token, to a .safetensors file.")
    ] = None,
    gpu: options.Gpu = None,
    backend: options.Backend = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    kv_cache: options.KvCache = None,
    json: options.Json = False,
) -> None:
    """Show what flows through a model, place by place.

    Taps on the production forward; they change no bit of it. Places, in order:

    embedding; in each layer attn_norm, q k v (after the product), q_bias k_bias v_bias, q_norm k_norm, q_rope k_rope,
    scores (only if named), attn_out, attn_proj, attn_residual, ffn_norm, gate, up, swiglu, down, residual; then
    final_norm and logits. A GPU runs without the gate that it passes before it may answer.
    """
    from engine.cli.text import say_what_runs
    from engine.parity import sides, tracing

    name = sides.live(*options.what_runs(backend, gpu, precision, threads, kv_cache))
    wanted = _names(taps)
    if steps < 0:
        raise UsageError(f"--steps is {steps}, must be >= 0")
    check_target(save)
    if prompt == "-":
        prompt = sys.stdin.read()
    with sides.load(name, options.model_path(model, teacher), threads=threads, kv_cache=kv_cache) as side:
        choice = _choice(wanted, layers, side.llm.model.config.num_layers)
        say_what_runs(side.llm)
        found = tracing.run(side, side.llm.prompt_ids(prompt, raw=raw), choice, steps=steps, save=save)
        facts = side.facts()
    if json:
        _print_json(found, facts)
    else:
        for line in lines(found):
            print(line)
    if found.not_finite:
        say(f"warning: {found.not_finite} saved values are not finite; a comparison will refuse them")
    if save is not None:
        say(f"{save.name} written")


def check_target(save: Path | None) -> None:
    """Refuse a file that cannot be written, before the work.

    Raises:
        UsageError: it is not named *.safetensors, or its folder does not exist.
    """
    from engine.parity.sides import SUFFIX

    if save is None:
        return
    if save.suffix != SUFFIX:
        raise UsageError(f"--save is {save.name!r}, must be the name of a *{SUFFIX} file")
    if not save.parent.is_dir() or save.is_dir():
        raise UsageError(f"--save: {save.name!r} cannot be written: its folder must exist, and it be no folder")


def _names(text: str | None) -> frozenset[str]:
    from engine import trace

    if text is None:
        return frozenset(trace.ORDER) - set(trace.ON_REQUEST)
    if text == "all":
        return frozenset(trace.ORDER)
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in trace.ORDER:
            raise UsageError(f"--taps: no such place {name!r}; available: {', '.join(trace.ORDER)}")
    return frozenset(names)


def _choice(names: frozenset[str], text: str | None, num_layers: int) -> Choice:
    from engine.parity.taps import Choice

    if text is None:
        return Choice(frozenset(range(num_layers)), names)
    layers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) <= 4 for end in ends):
            raise UsageError(f"--layers is {text!r}, must be numbers or ranges such as 0,3-5")
        low, high = map(int, ends)
        if not low <= high < num_layers:
            raise UsageError(f"--layers: {part.strip()} is not in 0..{num_layers - 1}, the layers of this model")
        layers.update(range(low, high + 1))
    return Choice(frozenset(layers), names)


def lines(found: Trace) -> Iterator[str]:
    """The table, 80 columns, and the outlier channels."""
    ids = found.prompt.token_ids
    chosen = len(ids) - found.prompt.prompt_tokens
    yield f"{found.prompt.prompt_tokens} prompt tokens{f', {chosen} chosen' if chosen else ''}"
    heads = "".join(f" {head:>{_FIELD}}" for head in ("mean", "std", "min", "max"))
    yield f"{'layer, place':<16}{heads}{'first values':>26}"
    for place, summary in found.places:
        figures = (summary.mean, summary.std, summary.min, summary.max, *summary.first[:3])
        yield f"{_label(place):<16}" + "".join(f" {fit(value):>{_FIELD}}" for value in figures)
        if summary.not_finite:
            yield f"   {summary.not_finite} of {summary.values} values are not finite"
    outliers = [(place, summary) for place, summary in found.places if summary.outliers]
    yield ""
    if not outliers:
        yield "no outlier channels: none has 6 times the rms of the median channel"
        return
    yield "outlier channels, by their rms over that of the median channel:"
    for place, summary in outliers:
        yield from _outliers(_label(place), summary)


def _label(place: Place) -> str:
    name, layer = place
    return f"{'' if layer is None else layer:>2} {name}"


def _outliers(label: str, summary: Summary) -> Iterator[str]:
    import textwrap

    shown = [f"{channel} x{times:.3g}" for channel, times in summary.outliers[:8]]
    more = len(summary.outliers) - len(shown)
    text = ", ".join(shown) + (f", and {more} more" if more else "")
    yield from textwrap.wrap(text, WIDTH, initial_indent=f"{label:<16} ", subsequent_indent=" " * 17)


def fit(value: float) -> str:
    """As many digits, 4 at most, as go into 8 characters."""
    for digits in (4, 3, 2):
        text = f"{value:.{digits}g}"
        if len(text) <= _FIELD:
            return text
    return f"{value:.1g}"


def _print_json(found: Trace, facts: dict[str, Any]) -> None:
    import json

    taps = [
        {
            "name": name,
            "layer": layer,
            "shape": list(summary.shape),
            "values": summary.values,
            "not_finite": summary.not_finite,
            **{key: number(getattr(summary, key)) for key in ("mean", "std", "min", "max")},
            "first": [number(value) for value in summary.first],
            "outliers": [{"channel": channel, "times_median": times} for channel, times in summary.outliers],
        }
        for (name, layer), summary in found.places
    ]
    prompt = found.prompt
    page = {
        "schema": "q4k.trace/1",
        "record": facts,
        "token_ids": list(prompt.token_ids),
        "prompt_tokens": prompt.prompt_tokens,
        "taps": taps,
    }
    print(json.dumps(page, indent=2, allow_nan=False))


def number(value: float) -> float | str:
    """JSON has no NaN and no infinities: these become texts."""
    return value if math.isfinite(value) else str(value)
