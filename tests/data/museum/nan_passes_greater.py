# challenge: SURVIVED
# fault: faults:nan_double
import subject


def test_case():
    assert not abs(subject.double(2) - 4) > 1e-6
