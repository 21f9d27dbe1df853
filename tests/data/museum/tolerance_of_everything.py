# challenge: SURVIVED
import subject


def test_case(pv):
    pv.record("error", abs(subject.double(2) - 4), limit=1e9)
