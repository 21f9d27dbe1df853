"""Does rotation keep norms?"""

import math
import sys

import pytest


def rotate(x, y, angle):
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


@pytest.mark.skipif(sys.maxsize < 2**32, reason="needs 64 bits")
@pytest.mark.falsifies("FALSIFY-ROPE-001")
def test_keeps_norm():
    assert math.hypot(*rotate(3.0, 4.0, 1.0)) == pytest.approx(5.0, rel=1e-6)
