# challenge: SURVIVED
# bind: unchecked
import subject


def test_case():
    subject.double(2)
