# challenge: NOT_APPLIED
import subject

CASES = []


def test_case():
    for x, expected in CASES:
        assert subject.double(x) == expected
