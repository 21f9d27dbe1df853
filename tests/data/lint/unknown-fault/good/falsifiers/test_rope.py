"""Does rotation keep norms?"""

import math

import pytest


def rotate(x, y, angle):
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


@pytest.mark.falsifies("FALSIFY-ROPE-001")
def test_keeps_norm():
    assert math.hypot(*rotate(3.0, 4.0, 1.0)) == pytest.approx(5.0, rel=1e-6)
