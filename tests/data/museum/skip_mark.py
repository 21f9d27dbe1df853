# run: SKIPPED later
import pytest


@pytest.mark.skip(reason="later")
def test_case():
    assert False
