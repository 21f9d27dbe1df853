"""A hint helps with a slip and stays silent otherwise."""

from __future__ import annotations

import pytest

from pv.lint.hints import Hints


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("FALSIFY-ROEP-001", "FALSIFY-ROPE-001", "; did you mean 'FALSIFY-ROPE-001'?"),
        ("FALSIFY-ROPE-01", "FALSIFY-ROPE-001", "; did you mean 'FALSIFY-ROPE-001'?"),
        ("test_matvec_outlier", "test_matvec_outliers", "; did you mean 'test_matvec_outliers'?"),
        ("rope", "ropes", "; did you mean 'ropes'?"),
        ("FALSIFY-TRACE-001", "FALSIFY-ROPE-001", ""),
        ("FALSIFY-QWEN2-FORWARD-001", "FALSIFY-RMS-NORM-001", ""),
        ("rope", "rms-norm", ""),
    ],
)
def test_ids_that_only_share_their_pattern_are_not_proposed(word, known, hint):
    assert Hints()(word, [known]) == hint


def test_after_twenty_words_there_are_no_more_hints_but_the_old_ones_stand():
    hints = Hints()
    for number in range(20):
        assert hints(f"name{number}x", [f"name{number}"]) != ""
    assert hints("name20x", ["name20"]) == ""
    assert hints("name3x", []) == "; did you mean 'name3'?"
