# challenge: SURVIVED
import subject


def test_case():
    got = [subject.double(x) for x in range(3)]
    assert all(a == b for a, b in zip(got, []))
