"""Probes and timer of a GPU, with events of our own in place of CUDA's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.ops.cuda import bandwidth, launch
from engine.ops.cuda.timer import EventTimer


class Event:
    """An event that is passed one millisecond after the one before it; like CUDA's it must be waited for."""

    made = 0

    def __init__(self) -> None:
        self.at: int | None = None
        self.passed = False

    def record(self) -> None:
        Event.made += 1
        self.at = Event.made

    def synchronize(self) -> None:
        assert self.at is not None
        self.passed = True

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds, as `torch.cuda.Event.elapsed_time`."""
        assert end.passed
        assert self.at is not None
        assert end.at is not None
        return float(end.at - self.at)


def test_events_give_seconds_and_are_waited_for() -> None:
    timer = EventTimer(Event)
    start, _, end = timer.mark(), timer.mark(), timer.mark()
    assert timer.seconds(start, end) == pytest.approx(2e-3)


def test_reading_sums_every_word_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = torch.from_numpy(np.random.default_rng(7).integers(-(2**14), 2**14, 1 << 16).astype(np.int32))
    monkeypatch.setattr(bandwidth, "_words", lambda *_: words)
    # the interpreter sums in 64 bits and refuses what does not fit into 32
    sums = bandwidth.read().numpy()
    expected = words.numpy().astype(np.int64).reshape(len(sums), -1).sum(axis=1).astype(np.int32)
    assert len(sums) == 4
    np.testing.assert_array_equal(sums, expected)


def test_bandwidth_is_bytes_over_the_time_of_one_pass() -> None:
    """One pass lies between two marks, a millisecond apart."""
    before = launch.counts()
    found = bandwidth.read_bandwidth(EventTimer(Event), rounds=2)
    assert found == pytest.approx([bandwidth.size_bytes() / 1e-3] * 2)
    assert launch.since(before) == {"read_words": 3}


def test_product_counts_a_multiplication_and_an_addition_for_each_pair() -> None:
    assert bandwidth.product_flops(EventTimer(Event), rounds=1) == pytest.approx([2 * 64**3 / 1e-3])


def test_occupying_is_reading_more() -> None:
    before = launch.counts()
    bandwidth.occupy()
    assert launch.since(before) == {"read_words": 1}
    bandwidth.release()
