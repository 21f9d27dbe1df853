"""Does rotation keep norms?"""

import math

import pytest


def rotate(x, y, angle):
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


def check_norm(pair, expected):
    assert math.hypot(*pair) == pytest.approx(expected, rel=1e-6)


@pytest.mark.falsifies("FALSIFY-ROPE-001")
def test_keeps_norm():
    check_norm(rotate(3.0, 4.0, 1.0), 5.0)
