# challenge: SURVIVED
import subject


def test_case():
    try:
        assert subject.double(2) == 4
    except Exception:
        pass
