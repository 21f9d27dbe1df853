# run: ERROR reported as passed
import subject


def test_case():
    assert subject.double(2) == 5
