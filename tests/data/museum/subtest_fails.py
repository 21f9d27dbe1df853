# run: FAIL assert
import subject


def test_case(subtests):
    for x in (1, 2):
        with subtests.test(x=x):
            assert subject.double(x) == 2
