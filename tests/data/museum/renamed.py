# run: ERROR not found
import subject


def test_case_v2():
    assert subject.double(2) == 4
