# run: SKIPPED empty parameter set
# test: test_case[NOTSET]
import pytest


@pytest.mark.parametrize("x", [])
def test_case(x):
    assert False
