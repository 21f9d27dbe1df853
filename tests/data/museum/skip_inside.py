# run: SKIPPED no gpu
import pytest


def test_case():
    pytest.skip("no gpu")
