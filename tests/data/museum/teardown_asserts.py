# run: ERROR teardown
import pytest
import subject


@pytest.fixture
def model():
    yield
    assert False


def test_case(model):
    assert subject.double(2) == 4
