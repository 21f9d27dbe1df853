# challenge: SURVIVED
import subject


def test_case():
    assert subject.double(2) == subject.double(2)
