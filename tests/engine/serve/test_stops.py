"""Stop strings, in whatever pieces the text comes: every way to cut it gives the same text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.serve.stops import StopFilter


def through(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    stop_filter = StopFilter(stops)
    shown = ""
    for piece in pieces:
        shown += stop_filter.push(piece)
        if stop_filter.stopped:
            return shown, True
    return shown + stop_filter.finish(), False


@pytest.mark.parametrize(
    ("pieces", "stops", "shown", "stopped"),
    [
        (["one two three"], ["two"], "one ", True),
        (["one t", "w", "o three"], ["two"], "one ", True),
        (["one t", "w", "ice"], ["two"], "one twice", False),
        (["aa", "ab"], ["aab"], "a", True),
        (["ab", "ab", "ac"], ["abac"], "ab", True),
        (["x\n", "\ny"], ["\n\n"], "x", True),
        (["abc"], ["c", "b"], "a", True),
        (["abc"], ["abc", "b"], "a", True),
        (["ends in t"], ["two"], "ends in t", False),
        ([], ["x"], "", False),
        (["x"], [], "x", False),
        (["x"], ["x"], "", True),
    ],
)
def test_text_ends_before_the_first_stop_string(pieces: list[str], stops: list[str], shown: str, stopped: bool):
    assert through(pieces, stops) == (shown, stopped)


def test_nothing_is_held_back_without_need():
    stop_filter = StopFilter(["STOP"])
    assert stop_filter.push("go on ST") == "go on "
    assert stop_filter.push("A") == "STA"
    assert stop_filter.push("nd") == "nd"


TEXT = st.text("ab\n", max_size=12)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(TEXT, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4), st.lists(st.integers(0, 12)))
def test_cuts_change_nothing(text: str, stops: list[str], cuts: list[int]):
    """Expected: the text before the stop string that ends first; of those that end together, the longest."""
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(places)]
    found = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    expected = (text[: min(found)[1]], True) if found else (text, False)
    assert through(pieces, stops) == expected
