# challenge: SURVIVED
# fault: faults:nan_double
import subject


def test_case():
    errors = [0.0, *(abs(subject.double(x) - 2 * x) for x in (1.0, 2.0))]
    assert max(errors) < 1e-6
