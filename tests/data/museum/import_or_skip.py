# run: SKIPPED could not import
import pytest

pytest.importorskip("a_module_that_nobody_has")


def test_case():
    assert False
