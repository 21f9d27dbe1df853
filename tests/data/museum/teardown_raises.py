# run: ERROR teardown
import pytest
import subject


@pytest.fixture
def model():
    yield
    raise RuntimeError("the device reports an earlier fault")


def test_case(model):
    assert subject.double(2) == 4
