"""What only a GPU takes: the kernel that measures read bandwidth as machine code, sizes, and CUDA's own events.

The kernel must not be limited by anything but memory.
"""

from __future__ import annotations

import pytest
import torch

from engine.bench import device
from engine.ops.cuda import bandwidth, launch, target
from engine.ops.cuda.compiled import Machine, compiled_instead
from engine.ops.cuda.timer import EventTimer


@pytest.mark.parametrize("sm", [80, 90])
def test_reading_is_wide_loads_and_little_else(sm: int) -> None:
    """A thread reads 16 words in each of 8 steps: 32 loads of 16 bytes, and about one addition for each word."""
    found: list[Machine] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda machine, _: found.append(machine)):
        sums = bandwidth.read()
        assert sums.shape == ((2 << 30) // 4 // (bandwidth.BLOCK * bandwidth.STEPS),)
        assert sums.device == torch.device("meta")
    bandwidth.release()
    (machine,) = found
    assert machine.stack_bytes == 0
    assert machine.wide_loads == 32
    words = bandwidth.BLOCK * bandwidth.STEPS
    assert machine.per_item(words) < 1.5


def test_occupying_reads_for_a_tenth_of_a_second() -> None:
    """232 times 2 GiB at 5 TB/s, more than any GPU of today: 0.0996 s at least."""
    seen: list[launch.Launch] = []
    with target.compiling_for(90), launch.intercepted(seen.append):
        bandwidth.occupy()
    bandwidth.release()
    assert len(seen) == 232


def test_timer_of_a_gpu_asks_for_events_that_tell_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing
            self.waited = False

        def record(self) -> None: ...

        def synchronize(self) -> None:
            self.waited = True

        def elapsed_time(self, end: Event) -> float:
            assert end.waited
            return 250.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    timer = device._timer()
    assert isinstance(timer, EventTimer)
    assert timer.clock == "device"
    assert timer.seconds(timer.mark(), timer.mark()) == 0.25
