# run: NOT_RUN xfail
# test: TestDouble::test_case
import unittest


class TestDouble(unittest.TestCase):
    @unittest.expectedFailure
    def test_case(self):
        self.fail()
