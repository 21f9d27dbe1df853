"""The report as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from engine.bench.figure import Figure, Samples, Speed
from engine.bench.process import StartUp
from engine.bench.report import Report, Result, as_json
from engine.bench.roofline import Roof, points, roofs
from engine.bench.subject import Limits
from engine.bench.text import WIDTH, lines, quantity, short
from support import benchmarks

SCHEMA = json.loads(Path(benchmarks.__file__).parents[2].joinpath("engine/bench/bench.schema.json").read_text())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Beside what is measured a peer at half the speed, and a process of its own."""
    found = benchmarks.report(tmp_path_factory.mktemp("report"))
    peers = [
        Result(Speed("llama.cpp", r.speed.figure, r.speed.samples.times(0.5)), r.work, r.limits) for r in found.results
    ]
    start = StartUp("cpu f32", 32, Samples((0.5, 0.25)), 123_000_000)
    peer = {"name": "llama.cpp", "version": "1", "system": "AVX2", "peak_bytes": 10**9}
    return replace(found, results=[*found.results, *peers], start_ups=[start], peer=peer)


def test_json_is_as_its_schema_says_and_holds_every_sample(report: Report) -> None:
    found = json.loads(json.dumps(as_json(report, "llama.cpp")))
    jsonschema.validate(found, SCHEMA)
    assert [(r["subject"], r["kind"], r["tokens"]) for r in found["results"][:4]] == [
        ("cpu f32", "prefill", 4), ("cpu f32", "prefill", 9), ("cpu f32", "decode", 0), ("cpu f32", "decode", 20),
    ]  # fmt: skip
    assert all(len(r["tokens_per_s"]["samples"]) == 2 for r in found["results"])
    assert found["not_measured"] == [
        {
            "subject": "cpu f32", "kind": "decode", "tokens": 200,
            "reason": "needs 202 positions, the model's context holds 128",
        }
    ]  # fmt: skip
    assert {ratio["ratio"]["median"] for ratio in found["ratios"]} == {2.0}
    assert len(found["breakdown"]) == 4


def test_shares_are_of_the_measured_limits(report: Report) -> None:
    """Decode at 0: 2 tokens in 0.25 s; the median of the read bandwidth is 2e6."""
    result = report.result("cpu f32", Figure("decode", 0))
    assert result is not None
    assert result.bytes_per_s == pytest.approx(8 * result.work.bytes)
    assert result.share_of_reading == pytest.approx(8 * result.work.bytes / 2e6)
    assert result.share_of_arithmetic == pytest.approx(8 * result.work.flops / 4e6)


def test_text_fits_80_columns_and_shows_every_sample(report: Report) -> None:
    found = list(lines(report, "llama.cpp"))
    assert max(map(len, found)) <= WIDTH == 80
    text = "\n".join(found)
    assert "    samples 16 16\n" in text
    assert "cpu f32 decode at 200: not measured: needs 202 positions, the model's context\nholds 128" in text
    assert "cpu f32 prefill of 4: 2.00 x llama.cpp (2.00 to 2.00)" in text
    assert "  matmul                            500.000 ms  66.7%      2 x" in text
    assert "cpu f32: first token after 32 in 0.38 s (0.25 to 0.50), peak 123 MB" in text


def test_the_widest_names_still_fit(report: Report) -> None:
    """A subject of 16 characters, a context of five digits, speeds of six digits."""
    limits = Limits(Samples((1e12,)), Samples((1e12,)), "product")
    speed = Speed("cuda exact eager", Figure("decode", 10_000), Samples((123_456.7, 234_567.8)))
    wide = [Result(speed, result.work, limits) for result in report.results]
    assert max(len(line) for line in lines(replace(report, results=wide), "llama.cpp")) <= WIDTH


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.366e9, "4.37 GB/s"), (999.6e9, "1000 GB/s"), (4.8e12, "4.8 TB/s"), (12.0, "12 B/s"), (1234e12, "1234 TB/s")],
)
def test_quantities_have_three_digits(value: float, text: str) -> None:
    assert quantity(value, "B/s") == text


def test_speeds_have_no_exponent() -> None:
    assert [short(value) for value in (0.30171, 28.24, 999.96, 123_456.7)] == ["0.3017", "28.24", "1000", "123457"]


def test_roof_bends_where_reading_and_arithmetic_take_the_same_time(report: Report) -> None:
    """4.8 TB/s and 960 TFLOP/s meet at 200 flops per byte."""
    roof = Roof("gpu", 4.8e12, 960e12, "product")
    assert roof.ridge == 200
    assert (roof.at(2), roof.at(1000)) == (9.6e12, 960e12)
    found = points(report)
    assert len(found) == len(report.results)
    assert found[0].intensity == pytest.approx(report.results[0].work.flops / report.results[0].work.bytes)
    assert roofs(report) == [Roof("nowhere", 2e6, 4e6, "product of nobody")]
    xs = [x for x, _ in roofs(report)[0].line(found)]
    assert xs == sorted(xs)
    assert xs[0] < min(p.intensity for p in found)
    assert xs[-1] > max(p.intensity for p in found)
