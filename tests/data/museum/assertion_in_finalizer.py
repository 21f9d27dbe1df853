# challenge: SURVIVED
import subject


class Check:
    def __del__(self):
        assert subject.double(2) == 4


def test_case():
    Check()
