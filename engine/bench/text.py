"""A report to be read in a terminal: 80 columns, every sample."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from engine.bench.breakdown import Breakdown
from engine.bench.figure import Samples
from engine.bench.report import CONTENT, Report, Result

WIDTH = 80
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def lines(report: Report, peer: str) -> Iterator[str]:
    """The whole report."""
    model, settings = report.model, report.settings
    facts = [
        ("model", f"{model['name']}, {quantity(model['size_bytes'], 'B')}, {_reads(model)}"),
        ("machine", ", ".join(_fact(key, value) for key, value in report.machine.items())),
        ("context", f"{CONTENT}; {settings.new_tokens} new tokens, {settings.repeats} repeats"),
        *((str(subject["name"]), _subject(subject)) for subject in report.subjects),
        *((place, f"reads {_spread(limits.read_bandwidth, 'B/s')}") for place, limits in report.limits.items()),
        *(
            (place, f"{limits.product} {_spread(limits.arithmetic, 'FLOP/s')}")
            for place, limits in report.limits.items()
        ),
    ]
    for name, text in facts:
        yield from textwrap.wrap(f"{name:<16} {text}", WIDTH, subsequent_indent=" " * 17)
    yield ""
    yield from _results(report)
    for left in report.left:
        yield from textwrap.wrap(f"{left.subject} {left.figure}: not measured: {left.reason}", WIDTH)
    for ratio in report.ratios(peer):
        values = ratio.samples
        yield (f"{ratio.subject} {ratio.figure}: {values.median:.2f} x {peer} ({values.low:.2f} to {values.high:.2f})")
    for found in report.breakdowns:
        yield ""
        yield from _breakdown(found)
    if report.breakdowns:
        yield "operations are called one by one here; otherwise decode makes one call of them"
    for start in report.start_ups:
        yield ""
        spread = f"{start.first_token.low:.2f} to {start.first_token.high:.2f}"
        first = f"first token after {start.prompt_tokens} in {start.first_token.median:.2f} s ({spread})"
        yield f"{start.subject}: {first}, peak {quantity(start.peak_bytes, 'B')}"
    if report.peer:
        yield f"{peer}: peak {quantity(report.peer['peak_bytes'], 'B')}"


def quantity(value: float, unit: str) -> str:
    """Three digits and a decimal prefix: 4.37 GB."""
    size, prefix = next(((size, prefix) for size, prefix in _PREFIXES if value >= size), (1.0, ""))
    scaled = value / size
    return f"{scaled:.0f} {prefix}{unit}" if scaled >= 999.5 else f"{scaled:.3g} {prefix}{unit}"


def _fact(key: str, value: Any) -> str:
    shown = {"processor": f"{value}", "cores": f"{value} cores", "load_average": f"load {value}"}
    return shown.get(key, f"{key} {value}")


def _reads(model: Mapping[str, Any]) -> str:
    kind = ", random weights" if model["synthetic"] else ""
    return f"{quantity(model['read_bytes'], 'B')} read for each token{kind}"


def _subject(facts: Mapping[str, Any]) -> str:
    if "device" in facts:
        device = facts["device"]
        return ", ".join(str(device[key]) for key in ("device", "target", "driver", "mode") if key in device)
    threads = facts["threads"]
    clock = "" if facts["clock"] == "wall" else f"{facts['clock']} time"
    parts = [f"{threads} thread{'s' if threads != 1 else ''}", facts["instructions"], clock]
    return ", ".join(part for part in parts if part)


def _spread(samples: Samples, unit: str) -> str:
    return f"{quantity(samples.median, unit)} ({quantity(samples.low, unit)} to {quantity(samples.high, unit)})"


def _results(report: Report) -> Iterator[str]:
    names = [(result.speed.subject, str(result.speed.figure)) for result in report.results]
    wide = [max((len(pair[i]) for pair in names), default=0) for i in range(2)]
    yield f"{'':{wide[0]}} {'':{wide[1]}} {'tok/s':>8} {'lowest to highest':>18} {'achieved':>13} {'of':>5}"
    for result in report.results:
        values = result.speed.samples
        spread = f"{short(values.low)} to {short(values.high)}"
        achieved, share = _achieved(result)
        name, figure = result.speed.subject, str(result.speed.figure)
        yield (
            f"{name:{wide[0]}} {figure:{wide[1]}} {short(values.median):>8} {spread:>18} {achieved:>13} {share:>5.0%}"
        )
        raw = "samples " + " ".join(short(value) for value in values.values)
        yield from textwrap.wrap(raw, WIDTH, initial_indent="    ", subsequent_indent="            ")
    yield "decode: bytes read, of the read bandwidth; prefill: arithmetic, of the product"


def _achieved(result: Result) -> tuple[str, float]:
    if result.speed.figure.kind == "decode":
        return quantity(result.bytes_per_s, "B/s"), result.share_of_reading
    return quantity(result.flops_per_s, "FLOP/s"), result.share_of_arithmetic


def short(value: float) -> str:
    """Four digits at least, without an exponent."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _breakdown(found: Breakdown) -> Iterator[str]:
    calls = sum(part.calls for part in found.parts)
    tokens = f"{found.tokens} token{'s' if found.tokens > 1 else ''}"
    yield f"{found.subject}, {found.figure}, one forward of {tokens}: {found.seconds * 1e3:.3f} ms in {calls} calls"
    for part in found.parts:
        share = part.seconds / found.seconds if found.seconds else 0.0
        yield f"  {part.operation:<30} {part.seconds * 1e3:>10.3f} ms {share:>6.1%} {part.calls:>6} x"
