# run: NOT_RUN xfail
import pytest


@pytest.mark.xfail
def test_case():
    assert False
