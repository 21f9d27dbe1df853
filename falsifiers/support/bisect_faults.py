"""Seeded faults of a bisector: ways to blame the wrong operation, or a right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from engine.bisect import judge, replay
from engine.bisect.bisection import Bisection
from engine.bisect.distance import MARGIN, Floor
from engine.bisect.judge import Cell
from engine.bisect.places import Array
from engine.bisect.witness import Precision


@contextmanager
def the_last_is_named() -> Iterator[None]:
    """Of all places beyond their floors the last one is named."""
    first = judge._first

    def last(cells: Sequence[Cell], side: str, excess: Callable[[Cell], Any]) -> Any:
        return first(cells[::-1], side, excess)

    with mock.patch.object(judge, "_first", last):
        yield


@contextmanager
def the_floor_is_ten_times_higher() -> Iterator[None]:
    """Nothing below ten floors is seen."""
    right = Bisection.judgement

    def blind(bisection: Bisection, *, margin: float = MARGIN, **how: Any) -> Any:
        return right(bisection, margin=10 * margin, **how)

    with mock.patch.object(Bisection, "judgement", blind):
        yield


@contextmanager
def the_floor_is_ignored() -> Iterator[None]:
    """Every place has the floor of four roundings, whatever is computed there."""
    right = Floor.of

    def ignored(noise: Any, margin: float) -> Floor:
        return right([], margin)

    with mock.patch.object(Floor, "of", ignored):
        yield


@contextmanager
def every_side_is_held_to_float32() -> Iterator[None]:
    """What a side says of its activations and its cache is not listened to."""
    right = Precision.witnesses

    def deaf(claimed: Precision) -> Any:
        return right(Precision(claimed.backend, "f32", "f32"))

    with mock.patch.object(Precision, "witnesses", deaf):
        yield


@contextmanager
def inherited_errors_are_blamed() -> Iterator[None]:
    """A step is fed with what float64 made of the steps before, not with what its side had."""
    right = replay._Replay._call

    def fed_with_float64(step: Any, name: str, run: Callable[..., Any], args: Any, how: Any) -> Array:
        exact: Array = run(*args, **how)
        right(step, name, run, args, how)
        return exact

    with mock.patch.object(replay._Replay, "_call", fed_with_float64):
        yield


@contextmanager
def the_reference_is_always_right() -> Iterator[None]:
    """Without a golden forward, what differs from a by more than b's floor is b's mistake."""

    def trusting(cells: Sequence[Cell], margin: float) -> Any:
        del margin
        blamed = [
            judge.First("b", cell, cell.a_beside_b)
            for cell in cells
            if cell.a_beside_b and not cell.a_beside_b.is_noise
        ]
        return (judge.Verdict.B_WRONG, blamed[:1]) if blamed else (judge.Verdict.WITHIN, [])

    with mock.patch.object(judge, "_with_reference", trusting):
        yield
