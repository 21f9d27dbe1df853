"""What an H200 is asked to reach with Qwen2.5-7B in Q4_K_M, one sequence; and a measured run beside it.

A result is one entry of `results` in what `q4k bench --json` prints, of the subject 'cuda q8'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODEL = "qwen2.5-7b"
SUBJECT = "cuda q8"
LLAMA_CPP = 257
"""Decode of llama.cpp on an H200 as published for a 9B model of 5.7 GB, 197 tok/s, scaled to the 4.37 GB read here."""


@dataclass(frozen=True)
class Goal:
    """Tokens per second."""

    kind: str
    tokens: int
    goal: float
    floor: float | None = None


GOALS = (Goal("decode", 0, 700, 400), Goal("prefill", 512, 20_000), Goal("prefill", 4096, 24_000))

COLUMNS = (
    "version",
    "device",
    "decode 0",
    "decode 512",
    "decode 4096",
    "of read bandwidth",
    "prefill 512",
    "prefill 4096",
)
"""Of the table in engine/ops/cuda/README.md that a run adds a row to."""
_SPEEDS = (("decode", 0), ("decode", 512), ("decode", 4096), None, ("prefill", 512), ("prefill", 4096))


def merged(*reports: dict[str, Any] | None) -> dict[str, Any] | None:
    """The results of several runs as those of one; None of none."""
    found = [report for report in reports if report]
    return {"results": [result for report in found for result in report["results"]]} if found else None


def median(report: dict[str, Any] | None, kind: str, tokens: int) -> float | None:
    """Tokens per second, if they were measured."""
    found = _result(report, kind, tokens)
    return found["tokens_per_s"]["median"] if found else None


def _result(report: dict[str, Any] | None, kind: str, tokens: int) -> dict[str, Any] | None:
    wanted = {"subject": SUBJECT, "kind": kind, "tokens": tokens}
    results = report["results"] if report else []
    return next((result for result in results if wanted.items() <= result.items()), None)


def table(report: dict[str, Any] | None) -> list[str]:
    """Goals next to what was measured."""
    lines = [f"{MODEL}, Q4_K_M shapes, one sequence   {'goal':>8} {'floor':>8} {'measured':>10}"]
    for goal in GOALS:
        found = median(report, goal.kind, goal.tokens)
        reached = "not measured" if found is None else f"{found:10.0f} {_verdict(goal, found)}"
        floor = f"{goal.floor:8.0f}" if goal.floor else " " * 8
        lines.append(f"  {goal.kind} {goal.tokens:<28} {goal.goal:8.0f} {floor} {reached}")
    lines.append(f"  llama.cpp decode, scaled by bytes   {LLAMA_CPP:8}")
    return lines


def _verdict(goal: Goal, found: float) -> str:
    if found >= goal.goal:
        return "reached"
    if goal.floor and found < goal.floor:
        return "BELOW THE FLOOR"
    return f"{found / goal.goal:.0%} of the goal"


def row(report: dict[str, Any] | None, version: str, device: str) -> str:
    """One line of the table of versions."""
    cells = [version, device]
    decode = _result(report, "decode", 0)
    for speed in _SPEEDS:
        if speed is None:
            cells.append(f"{decode['share_of_read_bandwidth']:.0%}" if decode else "not measured")
            continue
        found = median(report, *speed)
        cells.append("not measured" if found is None else f"{found:.0f}")
    return "| " + " | ".join(cells) + " |"
