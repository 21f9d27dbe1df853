# run: NOT_RUN xfail
import pytest


def test_case():
    pytest.xfail("known")
