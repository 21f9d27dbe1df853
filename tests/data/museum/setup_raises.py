# run: ERROR setup
import pytest


@pytest.fixture
def model():
    assert False, "no model"


def test_case(model):
    assert model
