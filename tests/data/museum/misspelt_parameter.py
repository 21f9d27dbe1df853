# run: ERROR not found
# test: test_case[three]
import pytest
import subject


@pytest.mark.parametrize("x", [1, 2], ids=["one", "two"])
def test_case(x):
    assert subject.double(x) == 2 * x
