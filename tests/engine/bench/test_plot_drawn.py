"""The picture, where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench import plot
from support import benchmarks


def test_picture_has_both_curves_and_the_roofline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    saved: list[Figure] = []
    write = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (saved.append(figure), write(figure, *a, **k)))
    path = tmp_path / "speed.png"
    plot.check(path)
    plot.draw(benchmarks.report(tmp_path), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    decode, prefill, roofline = saved[0].axes
    assert [line.get_xydata().tolist() for line in decode.get_lines()[:1]] == [[[0.0, 8.0], [20.0, 8.0]]]
    assert [line.get_xydata().tolist() for line in prefill.get_lines()[:1]] == [[[4.0, 16.0], [9.0, 36.0]]]
    assert (roofline.get_xscale(), roofline.get_yscale()) == ("log", "log")
    assert len(roofline.get_lines()) == 1 + 4  # the roof, and a point for each result
