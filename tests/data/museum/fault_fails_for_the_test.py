# challenge: BROKEN
# fault: faults:failure_instead
import subject


def test_case():
    subject.double(2)
