# run: ERROR not found
# test: TestDouble::test_case
import subject


class TestDouble:
    def __init__(self):
        self.expected = 5

    def test_case(self):
        assert subject.double(2) == self.expected
