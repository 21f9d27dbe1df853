"""Pictures of a report: speed against context, speed against the length of the prompt, and the roofline.

matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bench.report import Report
from engine.bench.roofline import Roof, points, roofs
from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.bench.figure import Kind

SUFFIXES = (".png", ".svg", ".pdf")
_INCHES = (15.0, 5.0)
_MARKERS = {"prefill": "s", "decode": "o"}


def check(path: Path) -> None:
    """Find out before anything is measured whether a picture can be drawn there.

    Raises:
        EngineError: another kind of file, no such folder, or no matplotlib.
    """
    if path.suffix not in SUFFIXES:
        raise EngineError(f"{path}: a plot ends with one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise EngineError(f"{path}: a folder; give a file")
    if not path.parent.is_dir():
        raise EngineError(f"{path}: no such folder {str(path.parent)!r}; make it first")
    try:
        import matplotlib.figure  # noqa: F401 - only whether it is there
    except ImportError as err:
        raise EngineError(f"--plot needs matplotlib ({err}); install it: pip install 'pv-contracts[plot]'") from err


def draw(report: Report, path: Path) -> None:
    """Write the picture; its suffix says which format.

    Raises:
        EngineError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    decode, prefill, roofline = figure.subplots(1, 3)
    _speeds(decode, report, "decode", "tokens in the cache")
    _speeds(prefill, report, "prefill", "tokens of the prompt")
    _roofline(roofline, report)
    kind = ", random weights" if report.model["synthetic"] else ""
    figure.suptitle(f"{report.model['name']}{kind} on {_where(report)}", fontsize=11)
    try:
        figure.savefig(path, dpi=120)
    except OSError as err:
        raise EngineError(f"{path}: cannot write it: {(err.strerror or str(err)).lower()}") from err


def _where(report: Report) -> str:
    devices = [facts["device"].get("device") for facts in report.subjects if "device" in facts]
    return ", ".join(dict.fromkeys(name or str(report.machine["processor"]) for name in devices or [None]))


def _subjects(report: Report) -> list[str]:
    return list(dict.fromkeys(result.speed.subject for result in report.results))


def _speeds(axes: Any, report: Report, kind: Kind, label: str) -> None:
    for number, subject in enumerate(_subjects(report)):
        speeds = [r.speed for r in report.results if r.speed.subject == subject and r.speed.figure.kind == kind]
        if not speeds:
            continue
        speeds.sort(key=lambda speed: speed.figure.tokens)
        medians = [speed.samples.median for speed in speeds]
        below = [speed.samples.median - speed.samples.low for speed in speeds]
        above = [speed.samples.high - speed.samples.median for speed in speeds]
        axes.errorbar(
            [speed.figure.tokens for speed in speeds], medians, yerr=[below, above],
            marker=_MARKERS[kind], capsize=3, color=f"C{number}", label=subject,
        )  # fmt: skip
    axes.set_title(kind)
    axes.set_xlabel(label)
    axes.set_ylabel("tokens per second (median, lowest to highest)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=8)


def _roofline(axes: Any, report: Report) -> None:
    found = points(report)
    names = _subjects(report)
    drawn: list[Roof] = roofs(report)
    for number, roof in enumerate(drawn):
        x, y = zip(*roof.line(found), strict=True)
        label = f"{roof.place}: read bandwidth, {roof.product}"
        axes.plot(x, y, color="0.35", linestyle=("-", "--", ":")[number % 3], linewidth=1.2, label=label)
    seen: set[tuple[str, str]] = set()
    for point in found:
        key = (point.subject, point.figure.kind)
        axes.plot(
            point.intensity, point.flops_per_s, marker=_MARKERS[point.figure.kind], linestyle="", markersize=6,
            color=f"C{names.index(point.subject)}", label=None if key in seen else " ".join(key),
        )  # fmt: skip
        seen.add(key)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title("roofline, limits measured in the same run")
    axes.set_xlabel("flops per byte that must be read")
    axes.set_ylabel("flops per second")
    axes.grid(which="both", alpha=0.2)
    axes.legend(fontsize=7, loc="best")
