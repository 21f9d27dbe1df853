"""The loss curve of a training run as JSON and as a small SVG picture.

A point is {"step", "loss", "seconds"}; in the float phase also "planned_steps" (a resumed run may be given another
number of steps, which changes its learning rate) and now and then the shares of a probe.
The loss axis is logarithmic, decades are drawn as lines.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN = 640, 280, 48  # pixels


def joined_curve(build: Path) -> dict[str, Any]:
    """Both phases of a run, read from the build folder."""
    phases = {}
    for phase in ("float", "quantised"):
        path = build / f"curve-{phase}.json"
        if path.exists():
            phases[phase] = json.loads(path.read_text())
    return {
        "schema": "engine.teacher.loss/1",
        "settings": json.loads((build / "settings.json").read_text()),
        "phases": phases,
    }


def draw(curve: dict[str, Any]) -> str:
    """An SVG document of the loss of all phases over the steps."""
    colours = {"float": "#2563a8", "quantised": "#c2410c"}
    points = [point for phase in curve["phases"].values() for point in phase]
    last = max(point["step"] for point in points)
    low = math.floor(math.log10(min(point["loss"] for point in points)))
    high = math.ceil(math.log10(max(point["loss"] for point in points)))

    def place(step: float, loss: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * step / last
        y = MARGIN + (HEIGHT - 2 * MARGIN) * (high - math.log10(loss)) / max(1, high - low)
        return round(x, 1), round(y, 1)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">']
    parts.append("<style>text { font: 11px sans-serif }</style>")
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for decade in range(low, high + 1):
        _, y = place(0, 10.0**decade)
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">1e{decade}</text>')
    for phase, each in curve["phases"].items():
        line = " ".join(f"{x},{y}" for x, y in (place(point["step"], point["loss"]) for point in each))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colours[phase]}" stroke-width="1.5"/>')
    parts.append(f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - MARGIN + 16}" text-anchor="end">step {last}</text>')
    parts.append(f'<text x="{MARGIN}" y="{MARGIN - 14}">training loss (blue: float, orange: quantised weights)</text>')
    return "\n".join([*parts, "</svg>", ""])


def write_curve(build: Path, assets: Path) -> None:
    """Write loss.json and loss.svg next to the model."""
    curve = joined_curve(build)
    (assets / "loss.json").write_text(json.dumps(curve, indent=1) + "\n")
    (assets / "loss.svg").write_text(draw(curve))
