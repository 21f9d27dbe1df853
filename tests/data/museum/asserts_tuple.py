# run: ERROR always true
# bind: constant
import subject


def test_case():
    assert (subject.double(2) == 5, "double is wrong")
