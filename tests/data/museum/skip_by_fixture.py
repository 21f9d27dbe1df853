# run: SKIPPED no gpu
import pytest


@pytest.fixture
def gpu():
    pytest.skip("no gpu")


def test_case(gpu):
    assert False
