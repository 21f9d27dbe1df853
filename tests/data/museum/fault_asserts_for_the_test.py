# challenge: BROKEN
# fault: faults:assertion_instead
import subject


def test_case():
    subject.double(2)
