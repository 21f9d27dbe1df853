# challenge: SURVIVED
import subject


def test_case():
    got = subject.double(2)
    if got:
        return
    assert got == 4
