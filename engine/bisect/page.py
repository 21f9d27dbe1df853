"""A judgement as one HTML page: who is wrong, where, and a layer x tap map of error over floor.

Self-contained: no script, no font, no image, nothing from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from engine import trace
from engine.bisect import rendering, text
from engine.bisect.bisection import Coverage
from engine.bisect.distance import Excess
from engine.bisect.graft import Graft
from engine.bisect.judge import Cell, Judgement
from engine.bisect.places import Place
from engine.bisect.session import Session
from engine.errors import ParityError

STEPS = (0.1, 0.5, 1.0, 3.0, 10.0, 100.0)
"""Limits of the colours: three within the floor, four beyond it."""

Question = Callable[[Cell], Excess | None]


def write(path: Path, judgement: Judgement, session: Session, coverage: Coverage, grafts: Sequence[Graft]) -> None:
    """Write the page.

    Raises:
        ParityError: the file cannot be written.
    """
    seen = {cell.place.name for cell in judgement.cells if cell.place.layer is not None}
    names = [name for name in trace.ORDER if name in seen]
    values = {
        "judgement": judgement,
        "session": session,
        "coverage": str(coverage),
        "decided": judgement.verdict.is_decided,
        "wrong": bool([first for first in judgement.found if first.side]),
        "details": list(text.lines(judgement, session, coverage, grafts)),
        "names": names,
        "legend": _legend(),
        "maps": [
            {
                "title": title,
                "about": about,
                "rows": _rows(judgement, session, names, question),
                "ends": _ends(judgement, session, question),
            }
            for title, about, question in _maps(judgement)
        ],
    }
    try:
        path.write_text(rendering.text("page.html.j2", values), encoding="utf-8")
    except OSError as err:
        raise ParityError(f"{path}: cannot be written: {err.strerror}") from err


def _maps(judgement: Judgement) -> list[tuple[str, str, Question]]:
    own = "Each operation on the input that this side had, beside float64; nothing is inherited."
    found: list[tuple[str, str, Question]] = [
        ("Own error of b", own, lambda cell: cell.b),
        ("Own error of a", own, lambda cell: cell.a),
        (
            "a and b apart",
            "With all errors from before; a fault stays visible in what follows it.",
            lambda cell: cell.apart,
        ),
    ]
    if any(first.side == "a" for first in judgement.found[:1]):
        found[0], found[1] = found[1], found[0]
    return found


def _rows(judgement: Judgement, session: Session, names: Sequence[str], question: Question) -> list[dict[str, object]]:
    by_place = {cell.place: cell for cell in judgement.cells}
    layers = sorted({cell.place.layer for cell in judgement.cells if cell.place.layer is not None})
    return [
        {
            "layer": layer,
            "cells": [_cell(by_place.get(Place(layer, name)), judgement, session, question) for name in names],
        }
        for layer in layers
    ]


def _ends(judgement: Judgement, session: Session, question: Question) -> list[dict[str, object]]:
    """Places outside the layers."""
    return [
        {"name": cell.place.name, **_cell(cell, judgement, session, question)}
        for cell in judgement.cells
        if cell.place.layer is None
    ]


def _cell(cell: Cell | None, judgement: Judgement, session: Session, question: Question) -> dict[str, object]:
    excess = question(cell) if cell is not None else None
    if cell is None or excess is None:
        return {"level": "none", "label": "", "title": "no operation of its own, or not recorded", "first": False}
    named = any(first.cell.place == cell.place and first.excess == excess for first in judgement.found)
    return {
        "level": level(excess.times),
        "label": label(excess.times),
        "title": f"{cell.place}: {text.times(excess.times)} floors, {text.where(excess, session)}",
        "first": named,
    }


def level(times: float) -> int:
    """Which colour, 0 to 6; from 3 on it is beyond the floor."""
    return sum(not times <= step for step in STEPS)


def label(times: float) -> str:
    """A number of at most four characters."""
    if not math.isfinite(times):
        return "inf"
    if times < 9.95:
        return f"{times:.1f}"
    if times < 999.5:
        return f"{times:.0f}"
    exponent = math.floor(math.log10(times))
    return f"{times / 1000:.0f}k" if exponent < 6 else f"1e{exponent}"


def _legend() -> list[dict[str, object]]:
    edges = ["0", *(f"{step:g}" for step in STEPS)]
    spans = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [{"level": number, "span": span} for number, span in enumerate([*spans, f"over {STEPS[-1]:g}"])]
