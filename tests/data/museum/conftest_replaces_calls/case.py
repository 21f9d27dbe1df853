# challenge: BROKEN
import subject


def test_case():
    assert subject.double(2) == 4
