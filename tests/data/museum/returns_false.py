# run: ERROR returned
import subject


def test_case():
    return subject.double(2) == 5
