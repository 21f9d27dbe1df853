# run: WRONG_TARGET did not record
# target: cuda
import subject


def test_case():
    assert subject.double(2) == 4
