"""A whole benchmark of the GPU side on a tiny model: every line of it but CUDA's own events."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import engine.bench
from engine import synthetic
from engine.bench import session
from engine.bench.breakdown import breakdown
from engine.bench.device import DeviceSubject
from engine.bench.figure import Figure
from engine.bench.measure import Runs
from engine.bench.report import Report, Settings, as_json
from engine.bench.text import WIDTH, lines
from engine.bench.timer import HostTimer
from engine.ops.cuda import launch, weights
from engine.ops.cuda.timer import EventTimer

SCHEMA = json.loads((Path(engine.bench.__file__).parent / "bench.schema.json").read_text())


@pytest.fixture(scope="module")
def report() -> Report:
    with synthetic.shapes_only("tiny") as file:
        subject = DeviceSubject(file, "q8", made_there=True)
        settings = Settings(prompt_tokens=(9,), context=(3, 32_768), new_tokens=1, repeats=1)
        try:
            return session.run(file, [subject], settings, synthetic=True)
        finally:
            subject.release()


def test_every_figure_that_fits_is_measured(report: Report) -> None:
    assert [(r.speed.figure, len(r.speed.samples.values)) for r in report.results] == [
        (Figure("prefill", 9), 1),
        (Figure("decode", 3), 1),
    ]
    assert all(r.speed.samples.low > 0 for r in report.results)
    assert [left.figure for left in report.left] == [Figure("decode", 32_768)]


def test_the_place_says_that_it_is_no_gpu(report: Report) -> None:
    (facts,) = report.subjects
    assert (facts["name"], facts["place"]) == ("cuda q8", "cuda-interpreted")
    assert facts["device"]["target"] == "cuda-interpreted"
    assert list(report.limits) == ["cuda-interpreted"]
    assert facts["device"]["launches"]["q4_k_matvec"] > 0


def test_json_and_text_of_a_device_are_as_of_the_cpu(report: Report) -> None:
    jsonschema.validate(json.loads(json.dumps(as_json(report, "llama.cpp"))), SCHEMA)
    found = list(lines(report, "llama.cpp"))
    assert max(map(len, found)) <= WIDTH
    assert any(line.startswith("cuda q8 decode at 3 ") for line in found)


def test_cache_bytes_are_those_of_float16(report: Report) -> None:
    """One layer, one kv head of 128, keys and values, 2 bytes each; behind 3 tokens a fourth is seen."""
    weights_read = report.model["read_bytes"]
    assert report.results[1].work.bytes == weights_read + 4 * 2 * 128 * 2


def test_prefill_is_broken_down_over_its_chunk(report: Report) -> None:
    assert [(found.figure, found.tokens) for found in report.breakdowns] == [
        (Figure("prefill", 9), 9),
        (Figure("decode", 3), 1),
    ]
    assert all(part.seconds > 0 for found in report.breakdowns for part in found.parts)


def test_every_launch_of_a_token_is_timed_by_events() -> None:
    """With events of our own, a millisecond apart, each launch takes one; the launches are those of a plain forward."""

    class Event:
        now = 0.0

        def record(self) -> None:
            Event.now += 1.0
            self.at = Event.now

        def synchronize(self) -> None:
            pass

        def elapsed_time(self, end: Event) -> float:
            return end.at - self.at

    with synthetic.shapes_only("tiny") as file:
        subject = DeviceSubject(file, "q8", made_there=True, eager=True, timer=EventTimer(Event))
        try:
            assert subject.name == "cuda q8 eager"
            before = launch.counts()
            subject.advance([1], subject.model.new_cache(1))
            launches = launch.since(before)
            found = breakdown(Runs(subject, 1), Figure("decode", 0), forwards=1)
        finally:
            subject.release()
    assert {part.operation: part.calls for part in found.parts} == launches
    assert all(part.seconds == pytest.approx(part.calls * 1e-3) for part in found.parts)


def test_uploads_are_real_again_after_a_subject(report: Report) -> None:
    assert report.model["synthetic"] is True
    assert weights.upload.__module__ == weights.__name__


def test_default_timer_of_the_interpreter_is_the_clock_on_the_wall() -> None:
    with synthetic.shapes_only("tiny") as file:
        subject = DeviceSubject(file, "q8", made_there=True)
        assert isinstance(subject.timer, HostTimer)
        subject.release()
